// SPDX-License-Identifier: BSD-2-Clause
// Memory that comes when it is touched: zeros, what was written, and nothing where there is nothing. brk(), mmap(),
// munmap() in the middle and around, and a stack that grows.
#include "guest/bantam/user/lib.h"

IMAGE("memory");

#define PAGE 4096ul
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static bool zeros(const volatile char *at, size_t size)
{
    for (size_t i = 0; i < size; i += 64)
        if (at[i])
            return false;
    return true;
}

// A child touches it: 0 where it may, else the signal.
static int touched(volatile char *at, bool write)
{
    int status = -1, pid = fork();
    if (pid == 0) {
        if (write)
            *at = 1;
        else
            (void)*at;
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return status & 0x7f;
}

static void breaks(void)
{
    char *start = (char *)brk(0);
    CHECK_EQ(brk(0), (uint64_t)start);
    CHECK_EQ(brk((uint64_t)start + 3 * PAGE), (uint64_t)start + 3 * PAGE);
    CHECK(zeros(start, 3 * PAGE));
    memset(start, 7, 3 * PAGE);
    CHECK_EQ(brk((uint64_t)start + PAGE), (uint64_t)start + PAGE);
    CHECK_EQ(start[PAGE - 1], 7);
    CHECK_EQ(touched(start + 2 * PAGE, false), SIGSEGV);
    CHECK_EQ(brk((uint64_t)start + 3 * PAGE), (uint64_t)start + 3 * PAGE);
    CHECK(zeros(start + PAGE, 2 * PAGE)); // given back and new
    CHECK_EQ(start[PAGE - 1], 7);
    CHECK_EQ(brk((uint64_t)start + 3 * PAGE + 1), (uint64_t)start + 3 * PAGE + 1);
    CHECK_EQ(start[4 * PAGE - 1], 0); // the whole page
    CHECK_EQ(brk((uint64_t)start), (uint64_t)start);
    CHECK_EQ(touched(start, false), SIGSEGV);
}

static void maps(void)
{
    char *a = mmap(NULL, 5 * PAGE, RW, ANONYMOUS, -1, 0), *b = mmap(NULL, 100, RW, ANONYMOUS, -1, 0);
    CHECK(!is_error(a) && !is_error(b) && a != b);
    CHECK((uint64_t)a % PAGE == 0 && (uint64_t)b % PAGE == 0);
    CHECK(b + PAGE <= a || b >= a + 5 * PAGE);
    CHECK(zeros(a, 5 * PAGE));
    memset(a, 3, 5 * PAGE);
    CHECK_EQ(munmap(a + 2 * PAGE, PAGE), 0); // the middle
    CHECK_EQ(touched(a + 2 * PAGE, false), SIGSEGV);
    CHECK_EQ(touched(a + PAGE, true), 0);
    CHECK_EQ(touched(a + 3 * PAGE, true), 0);
    CHECK_EQ(a[2 * PAGE - 1], 3);
    CHECK_EQ(a[3 * PAGE], 3);
    CHECK((char *)mmap(a + 2 * PAGE, PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0) == a + 2 * PAGE);
    CHECK(zeros(a + 2 * PAGE, PAGE));
    CHECK((char *)mmap(a, PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0) == a); // over what is there
    CHECK(zeros(a, PAGE));
    CHECK_EQ(a[PAGE], 3);
    CHECK_EQ(munmap(a, 5 * PAGE), 0);
    CHECK_EQ(munmap(a, 5 * PAGE), 0); // nothing is there
    CHECK_EQ(touched(a + 4 * PAGE, false), SIGSEGV);
    CHECK_EQ(munmap(b, 1), 0);
}

static void rights(void)
{
    char *read_only = mmap(NULL, PAGE, PROT_READ, ANONYMOUS, -1, 0), *none = mmap(NULL, PAGE, 0, ANONYMOUS, -1, 0);
    char *code = mmap(NULL, PAGE, RW | PROT_EXEC, ANONYMOUS, -1, 0);
    CHECK_EQ(touched(read_only, false), 0);
    CHECK_EQ(touched(read_only, true), SIGSEGV);
    CHECK_EQ(touched(none, false), SIGSEGV);
    const uint8_t insns[] = {0xb8, 0x2a, 0, 0, 0, 0xc3}; // mov $42, %eax; ret
    memcpy(code, insns, sizeof insns);
    CHECK_EQ(((unsigned (*)(void))(uint64_t)code)(), 42);
    code[1] = 43;
    CHECK_EQ(((unsigned (*)(void))(uint64_t)code)(), 43);
    CHECK_EQ(munmap(read_only, PAGE), 0);
    CHECK_EQ(munmap(none, PAGE), 0);
    CHECK_EQ(munmap(code, PAGE), 0);
}

// Much memory of which little is touched; and the same addresses again and again.
static void sparse(void)
{
    const size_t size = 64ul << 20;
    char *big = mmap(NULL, size, RW, ANONYMOUS, -1, 0);
    CHECK(!is_error(big));
    for (size_t at = 0; at < size; at += 8ul << 20)
        big[at] = (char)(at >> 20);
    unsigned wrong = 0;
    for (size_t at = 0; at < size; at += 8ul << 20)
        wrong += big[at] != (char)(at >> 20);
    CHECK_EQ(wrong, 0);
    CHECK_EQ(munmap(big, size), 0);
    for (unsigned i = 0; i < 50; i++) {
        volatile char *page = mmap(NULL, 20 * PAGE, RW, ANONYMOUS, -1, 0);
        for (unsigned p = 0; p < 20; p++) {
            wrong += page[p * PAGE] != 0;
            page[p * PAGE] = 1;
        }
        wrong += munmap((void *)page, 20 * PAGE) != 0;
    }
    CHECK_EQ(wrong, 0);
}

static unsigned depth(unsigned n)
{
    volatile char room[2000];
    room[0] = (char)n;
    return n ? depth(n - 1) + (room[0] == (char)n) : 0;
}

static void stack(void)
{
    CHECK_EQ(depth(500), 500); // a megabyte
    int status = 0, pid = fork();
    if (pid == 0) {
        depth(1u << 20); // two gigabytes
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status & 0x7f, SIGSEGV);
}

int image_main(void)
{
    breaks();
    maps();
    rights();
    sparse();
    stack();
    return 0;
}
