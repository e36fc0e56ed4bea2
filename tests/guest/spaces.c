// SPDX-License-Identifier: BSD-2-Clause
// Address spaces side by side: programs at the same addresses in each, tables that change while another one is loaded,
// and what must be seen behind a switch (SDM vol. 3, 4.10.4): of code and data, at CPL 3 and 0, with and without PCIDs.
#include "tests/guest/access.h"
#include "tests/guest/feature.h"
#include "tests/guest/space.h"

IMAGE("spaces");

#define SPACES 3
#define CODE 0x4000200000ull
#define DATA 0x4000407000ull // in another slot of a small TLB
#define ROUNDS 4

static uint64_t root[SPACES], kernel_root;
static uint64_t bits[SPACES]; // PCID
static unsigned now;

// What cr3 is loaded with decides whether it flushes.
static void enter_with(unsigned space, uint64_t order)
{
    now = space;
    write_cr3(root[space] | bits[space] | order);
}

static void enter(unsigned space)
{
    enter_with(space, 0);
}

// ---- Programs: two pages of code ----

static void put32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

#define B(n) (0x00c30000u + (n)) // its third byte is ret

struct program {
    uint8_t *page[2];
};

// At 0: eax = a, call page 1, which adds b. At 64: a thousand times b, the loop being half on page 1. At 4094: a mov
// that goes on in page 1, whose first bytes it takes as its operand; what follows there is ret, since B() has it so.
static struct program make_program(uint32_t a, uint32_t b)
{
    struct program p = {{page_alloc(), page_alloc()}};
    uint8_t *one = p.page[0], *two = p.page[1];
    one[0] = 0xb8, put32(one + 1, a);                              // mov $a, %eax
    one[5] = 0xe8, put32(one + 6, 4096 - 10);                      // call page 1
    one[10] = 0xc3;                                                // ret
    one[64] = 0xb9, put32(one + 65, 1000);                         // mov $1000, %ecx
    one[69] = 0x31, one[70] = 0xc0;                                // xor %eax, %eax
    one[71] = 0xe9, put32(one + 72, 4096 + 32 - 76);               // jmp page 1 + 32
    one[80] = 0xff, one[81] = 0xc9;                                // dec %ecx
    one[82] = 0x75, one[83] = (uint8_t)(71 - 84);                  // jnz 71
    one[84] = 0xc3;                                                // ret
    one[4094] = 0xb8, one[4095] = (uint8_t)a;                      // mov $..., %eax: three bytes on the next page
    two[0] = 0x05, put32(two + 1, b);                              // add $b, %eax
    two[5] = 0xc3;                                                 // ret
    two[32] = 0x05, put32(two + 33, b);                            // add $b, %eax
    two[37] = 0xe9, put32(two + 38, (uint32_t)(80 - (4096 + 42))); // jmp page 0 + 80
    return p;
}

static void map_program(const struct program *p)
{
    for (unsigned i = 0; i < 2; i++)
        map_page(CODE + i * PAGE, phys_of(p->page[i]), PTE_P | PTE_U);
}

static uint64_t execute(uint64_t va)
{
    return run_user((uint64_t(*)(void *))va, NULL);
}

static void try_execute(void *va)
{
    execute((uint64_t)va);
}

static int fault_at(uint64_t va)
{
    return catch_fault(try_execute, (void *)va).vector;
}

static uint32_t across(uint32_t a, const struct program *p) // what the instruction across both pages loads
{
    return (a & 0xff) | (uint32_t)p->page[1][0] << 8 | (uint32_t)p->page[1][1] << 16 | (uint32_t)p->page[1][2] << 24;
}

static void check_program(uint32_t a, uint32_t b, const struct program *p)
{
    CHECK_EQ(execute(CODE), a + b);
    CHECK_EQ(execute(CODE + 64), 1000 * b % (1ull << 32));
    CHECK_EQ(execute(CODE + 4094), across(a, p));
}

static void make_spaces(void)
{
    for (unsigned i = 0; i < SPACES; i++) {
        root[i] = space_like(kernel_root);
        enter(i);
        uint8_t *page = page_alloc();
        page[0] = (uint8_t)('a' + i);
        map_page(DATA, phys_of(page), PTE_P | PTE_W | PTE_U);
        map_page(DATA + PAGE, phys_of(page), PTE_P | PTE_W);
    }
}

// ---- Code ----

static struct program first, second;

static void two_programs(void)
{
    enter(0);
    map_program(&first);
    enter(1);
    map_program(&second);
    enter(2);
    map_page(CODE, 0, 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        enter(0);
        check_program(5, B(1), &first);
        enter(1);
        check_program(6, B(2), &second);
        enter(2);
        CHECK_EQ(fault_at(CODE), VEC_PF); // nothing is mapped there
    }
}

static void a_shared_program(void) // as behind fork
{
    enter(2);
    map_program(&first);
    for (unsigned i = 0; i < ROUNDS; i++) {
        enter(i % 2 ? 2 : 0);
        check_program(5, B(1), &first);
    }
    enter(2);
    *pte_of(CODE + PAGE, 1) = phys_of(second.page[1]) | PTE_P | PTE_U; // of two programs
    invlpg((void *)(CODE + PAGE));
    CHECK_EQ(execute(CODE), 5 + B(2));
    enter(0);
    check_program(5, B(1), &first);
    enter(2);
    CHECK_EQ(execute(CODE), 5 + B(2));
    *pte_of(CODE + PAGE, 1) = 0;
    invlpg((void *)(CODE + PAGE));
    CHECK_EQ(fault_at(CODE), VEC_PF);
    CHECK_EQ(fault_at(CODE + 4094), VEC_PF);
    enter(0);
    check_program(5, B(1), &first);
    enter(2);
    CHECK_EQ(fault_at(CODE), VEC_PF);
    map_program(&first); // present again
    check_program(5, B(1), &first);
}

// Tables change while another address space is loaded.
static void changes_elsewhere(void)
{
    enter(0);
    uint64_t *code = pte_of(CODE, 1), *more = pte_of(CODE + PAGE, 1);
    check_program(5, B(1), &first);
    enter(1);
    check_program(6, B(2), &second);
    *code = phys_of(second.page[0]) | PTE_P | PTE_U;
    *more = phys_of(second.page[1]) | PTE_P | PTE_U;
    enter(0);
    check_program(6, B(2), &second);
    enter(1);
    *more = 0;
    enter(0);
    CHECK_EQ(fault_at(CODE), VEC_PF);
    enter(1);
    check_program(6, B(2), &second);
    *code = phys_of(first.page[0]) | PTE_P | PTE_U;
    *more = phys_of(first.page[1]) | PTE_P; // not the user's any more
    enter(0);
    CHECK_EQ(fault_at(CODE), VEC_PF);
    CHECK_EQ(fault_at(CODE + 64), VEC_PF);
    *more |= PTE_U;
    enter(0);
    check_program(5, B(1), &first);
}

// The memory of a program that is gone is another's.
static void reused_memory(void)
{
    enter(0);
    check_program(5, B(1), &first);
    enter(1);
    put32(first.page[0] + 1, 7); // by its alias
    put32(first.page[1] + 1, B(9));
    put32(first.page[1] + 33, B(9));
    enter(0);
    CHECK_EQ(execute(CODE), 7 + B(9));
    CHECK_EQ(execute(CODE + 64), 1000 * B(9) % (1ull << 32));
    put32(first.page[0] + 1, 5);
    put32(first.page[1] + 1, B(1));
    put32(first.page[1] + 33, B(1));
    check_program(5, B(1), &first);
}

// ---- Data ----

static USER_CODE uint64_t get_byte(void *va)
{
    return *(volatile uint8_t *)va;
}

static USER_CODE uint64_t put_byte(void *va)
{
    *(volatile uint8_t *)va = 's';
    return 0;
}

static uint64_t seen_by_user(void)
{
    return run_user(get_byte, (void *)DATA);
}

static uint64_t seen_by_kernel(void)
{
    return *(volatile uint8_t *)(DATA + PAGE);
}

static void data(void)
{
    for (unsigned i = 0; i < 2 * SPACES; i++) {
        enter(i % SPACES);
        CHECK_EQ(seen_by_user(), 'a' + i % SPACES);
        CHECK_EQ(seen_by_kernel(), 'a' + i % SPACES);
    }
    enter(0);
    uint64_t *user = pte_of(DATA, 1), *kernel = pte_of(DATA + PAGE, 1), old = *user;
    uint8_t *page = page_alloc();
    page[0] = 'z';
    enter(1);
    *user = phys_of(page) | PTE_P | PTE_W | PTE_U;
    *kernel = phys_of(page) | PTE_P | PTE_W;
    enter(0);
    CHECK_EQ(seen_by_user(), 'z');
    CHECK_EQ(seen_by_kernel(), 'z');
    run_user(put_byte, (void *)DATA);
    CHECK_EQ(page[0], 's');
    enter(1);
    *user = phys_of(page) | PTE_P | PTE_U; // read-only, as behind fork
    enter(0);
    CHECK_EQ(seen_by_user(), 's');
    CHECK_EQ(fault_of(store, DATA), PF_PRESENT | PF_WRITE); // CPL 0, with WP
    CHECK_EQ(fault_of(user_store, DATA), PF_PRESENT | PF_WRITE | PF_USER);
    enter(1);
    *user = old;
    *kernel = old & ~(uint64_t)PTE_U;
    enter(0);
    CHECK_EQ(seen_by_user(), 'a');
    CHECK_EQ(seen_by_kernel(), 'a');
}

// ---- Global pages ----

static uint64_t global_at;

static void global_is(uint8_t want) // for the kernel and for the user
{
    CHECK_EQ(*(volatile uint8_t *)global_at, want);
    CHECK_EQ(run_user(get_byte, (void *)global_at), want);
}

static void global_pages(void)
{
    uint8_t *a = page_alloc(), *b = page_alloc();
    uint64_t rights = PTE_P | PTE_W | PTE_U;
    global_at = DATA + 0x200000;
    a[0] = 'A', b[0] = 'B';
    enter(0);
    map_page(global_at, phys_of(a), rights | PTE_G);
    uint64_t *entry = pte_of(global_at, 1);
    global_is('A');
    enter(1);
    enter(0);
    global_is('A');
    *entry = phys_of(b) | rights | PTE_G;
    invlpg((void *)global_at);
    global_is('B');
    *entry &= ~(uint64_t)PTE_G; // no change but that it is not global any more
    invlpg((void *)global_at);
    global_is('B');
    *entry = phys_of(a) | rights;
    enter(0);
    global_is('A');
    *entry |= PTE_G;
    invlpg((void *)global_at);
    global_is('A');
    *entry = phys_of(b) | rights | PTE_G;
    write_cr4(read_cr4() & ~(uint64_t)CR4_PGE);
    global_is('B');
    *entry = phys_of(a) | rights | PTE_G;
    enter(0); // without PGE, G means nothing
    global_is('A');
    write_cr4(read_cr4() | CR4_PGE);
    *entry = 0;
    invlpg((void *)global_at);
}

// ---- PCIDs ----

static void without_flush(void)
{
    for (unsigned i = 0; i < 2 * SPACES; i++) { // nothing changes: all is as it was
        enter_with(i % SPACES, CR3_NOFLUSH);
        CHECK_EQ(seen_by_user(), 'a' + i % SPACES);
        CHECK_EQ(seen_by_kernel(), 'a' + i % SPACES);
        if (i % SPACES == 0)
            check_program(5, B(1), &first);
        if (i % SPACES == 1)
            check_program(6, B(2), &second);
    }
    enter_with(0, CR3_NOFLUSH);
    uint64_t *user = pte_of(DATA, 1), old = *user;
    uint8_t *page = page_alloc();
    page[0] = 'y';
    *user = phys_of(page) | PTE_P | PTE_W | PTE_U;
    enter_with(1, CR3_NOFLUSH);
    CHECK_EQ(seen_by_user(), 'b');
    enter_with(0, CR3_NOFLUSH);
    uint64_t got = seen_by_user();
    CHECK(got == 'a' || got == 'y'); // nobody has flushed
    invlpg((void *)DATA);
    CHECK_EQ(seen_by_user(), 'y');
    *user = old;
    enter_with(1, CR3_NOFLUSH);
    enter(0); // flushes
    CHECK_EQ(seen_by_user(), 'a');
    enter_with(1, CR3_NOFLUSH);
    *user = phys_of(page) | PTE_P | PTE_W | PTE_U;
    write_cr4(read_cr4() & ~(uint64_t)CR4_PGE); // all PCIDs
    write_cr4(read_cr4() | CR4_PGE);
    enter_with(0, CR3_NOFLUSH);
    CHECK_EQ(seen_by_user(), 'y');
    *user = old;
    invlpg((void *)DATA);
    CHECK_EQ(seen_by_user(), 'a');
}

static void invpcid(uint64_t kind, uint64_t pcid, uint64_t address)
{
    struct {
        uint64_t pcid, address;
    } descriptor = {pcid, address};
    __asm__ volatile("invpcid %1, %0" : : "r"(kind), "m"(descriptor) : "memory");
}

// Of an address space that is not loaded.
static void invpcids(void)
{
    enter_with(0, CR3_NOFLUSH);
    uint64_t *user = pte_of(DATA, 1), old = *user;
    uint8_t *page = page_alloc();
    page[0] = 'x';
    for (unsigned kind = 0; kind < 4; kind++) {
        CHECK_EQ(seen_by_user(), 'a');
        enter_with(1, CR3_NOFLUSH);
        *user = phys_of(page) | PTE_P | PTE_W | PTE_U;
        invpcid(kind, kind < 2 ? bits[0] : 0, kind ? 0 : DATA);
        enter_with(0, CR3_NOFLUSH);
        CHECK_EQ(seen_by_user(), 'x');
        *user = old;
        invpcid(kind, kind < 2 ? bits[0] : 0, kind ? 0 : DATA); // that is loaded
        CHECK_EQ(seen_by_user(), 'a');
    }
}

// One PCID, two sets of tables: what the first one left may count for the second until it is flushed.
static void a_pcid_again(void)
{
    enter_with(0, CR3_NOFLUSH);
    CHECK_EQ(seen_by_user(), 'a');
    bits[1] = bits[0];
    enter(1);
    CHECK_EQ(seen_by_user(), 'b');
    check_program(6, B(2), &second);
    uint64_t *user = pte_of(DATA, 1), old = *user;
    uint8_t *page = page_alloc();
    page[0] = 'w';
    enter(0);
    CHECK_EQ(seen_by_user(), 'a');
    check_program(5, B(1), &first);
    enter_with(2, CR3_NOFLUSH);
    *user = phys_of(page) | PTE_P | PTE_W | PTE_U;
    enter(0); // flushes the PCID, whatever the tables
    enter_with(1, CR3_NOFLUSH);
    CHECK_EQ(seen_by_user(), 'w');
    *user = old;
    enter(1);
    CHECK_EQ(seen_by_user(), 'b');
}

static void all(void)
{
    two_programs();
    a_shared_program();
    changes_elsewhere();
    reused_memory();
    data();
    global_pages();
}

int image_main(void)
{
    kernel_root = read_cr3();
    make_spaces();
    first = make_program(5, B(1));
    second = make_program(6, B(2));
    all();
    if (!HAS_PCID) {
        skip("no PCID");
    } else {
        write_cr3(kernel_root);
        write_cr4(read_cr4() | CR4_PCIDE);
        for (unsigned i = 0; i < SPACES; i++)
            bits[i] = i + 1;
        all();
        without_flush();
        if (HAS_INVPCID)
            invpcids();
        else
            skip("no invpcid");
        a_pcid_again();
        write_cr3(kernel_root);
        write_cr4(read_cr4() & ~(uint64_t)CR4_PCIDE);
    }
    write_cr3(kernel_root);
    return 0;
}
