// SPDX-License-Identifier: BSD-2-Clause
// Processes for directly executed code: small programs in pages of guest RAM, each left by a system call or a fault,
// and what the monitor then knows about them.
#include <asm/prctl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <x86intrin.h>

#include "engines/bt/process_inside.h"
#include "engines/bt/xstate.h"
#include "run/pin.h"
#include "tests/unit/process_fixture.h"

// ---- What a program is left by ----

static void check_syscalls(struct fixture *f)
{
    struct process *p = START(f, 0, SYSCALL, SYSCALL, 0x48, 0xff, 0xc0, JUMP_BACK(5)); // inc rax; back to the second
    const uint64_t flags = FLAG_CF | FLAG_ZF | FLAG_OF | FLAG_DF | FLAG_AC | FLAG_ID;
    f->regs.rflags |= flags;
    struct process_regs was = f->regs;
    CHECK_EQ(run(f, p), PROCESS_SYSCALL);
    CHECK_EQ(f->regs.rip, CODE + 2);
    CHECK_EQ(f->regs.gpr[RCX], CODE + 2);
    CHECK_EQ(f->regs.gpr[R11] & flags, flags);
    CHECK_EQ(f->regs.rflags, was.rflags);
    for (unsigned n = 0; n < GPR_COUNT; n++)
        CHECK(n == RCX || n == R11 || f->regs.gpr[n] == STEP(n));
    CHECK_EQ(f->regs.fs_base, was.fs_base);
    CHECK_EQ(f->regs.gs_base, was.gs_base);
    f->regs.gpr[RCX] = 77; // as sysret or iret may leave it
    for (unsigned n = 0; n < 1000; n++) {
        CHECK_EQ(run(f, p), PROCESS_SYSCALL);
        CHECK_EQ(f->regs.gpr[RAX], n);
        CHECK_EQ(f->regs.rip, CODE + 4);
    }
}

static void check_faults(struct fixture *f)
{
    // mov [rdi], rax; mov rbx, [rdi + 8]; syscall
    struct process *p = START(f, 0, 0x48, 0x89, 0x07, 0x48, 0x8b, 0x5f, 0x08, SYSCALL);
    *(uint64_t *)(f->ram.base + 0x200008) = 4711;
    f->regs.gpr[RDI] = 0x800000;
    CHECK(excepts(f, p, VEC_PF));
    CHECK_EQ(f->info.address, 0x800000);
    CHECK_EQ(f->info.error, PF_USER | PF_WRITE);
    CHECK_EQ(f->regs.rip, CODE);
    queue(p, PROCESS_MAP, 0x800000, 16 * PAGE, 0x200000, PROT_READ);
    CHECK(excepts(f, p, VEC_PF));
    CHECK_EQ(f->info.error, PF_USER | PF_WRITE | PF_PRESENT);
    queue(p, PROCESS_PROTECT, 0x800000, PAGE, 0, PROT_READ | PROT_WRITE);
    f->regs.gpr[RAX] = 1848;
    CHECK_EQ(run(f, p), PROCESS_SYSCALL);
    CHECK_EQ(f->regs.gpr[RBX], 4711);
    CHECK_EQ(*(uint64_t *)(f->ram.base + 0x200000), 1848);
    f->regs.rip = CODE;
    queue(p, PROCESS_UNMAP, 0x800000, PAGE, 0, 0);
    CHECK(excepts(f, p, VEC_PF));
    CHECK_EQ(f->info.error, PF_USER | PF_WRITE);
    f->regs.rip = CODE + 3;
    f->regs.gpr[RDI] = 0x801000 - 8;
    CHECK_EQ(run(f, p), PROCESS_SYSCALL); // the page behind it is still there
    f->regs.rip = 0x900000;               // nothing there
    CHECK(excepts(f, p, VEC_PF));
    CHECK_EQ(f->info.address, 0x900000);
    f->regs.rip = DATA; // not to be executed
    CHECK(excepts(f, p, VEC_PF));
    CHECK_EQ(f->info.error, PF_USER | PF_FETCH | PF_PRESENT);
}

static void check_exceptions(struct fixture *f)
{
    struct process *p = START(f, 0, 0x31, 0xc9, 0xf7, 0xf1); // xor ecx, ecx; div ecx
    CHECK(excepts(f, p, VEC_DE));
    CHECK_EQ(f->regs.rip, CODE + 2);
    CHECK_EQ(f->regs.gpr[RCX], 0);
    p = START(f, 0, 0x90, 0x0f, 0x0b); // ud2
    CHECK(excepts(f, p, VEC_UD));
    CHECK_EQ(f->regs.rip, CODE + 1);
    p = START(f, 0, 0xf4); // hlt
    CHECK(excepts(f, p, VEC_GP));
    CHECK_EQ(f->regs.rip, CODE);
    p = START(f, 0, 0x48, 0x8b, 0x07); // mov rax, [rdi], not canonical
    f->regs.gpr[RDI] = 0x8000000000000000;
    CHECK(excepts(f, p, VEC_GP));
    p = START(f, 0, 0x50); // push rax
    f->regs.gpr[RSP] = 0x8000000000000000;
    CHECK(excepts(f, p, VEC_SS));
    CHECK_EQ(f->regs.gpr[RSP], 0x8000000000000000);
    p = START(f, 0, 0xcc); // int3
    CHECK(excepts(f, p, VEC_BP));
    CHECK_EQ(f->regs.rip, CODE + 1);
    p = START(f, 0, 0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d, 0x90, 0x90); // pushf; or dword [rsp], TF; popf; nop; nop
    f->regs.gpr[RSP] = DATA + PAGE;
    CHECK(excepts(f, p, VEC_DB));
    CHECK_EQ(f->regs.rip, CODE + 10);
    CHECK(f->regs.rflags & FLAG_TF);
    CHECK(excepts(f, p, VEC_BP)); // TF does not go in
    p = START(f, 0, 0xcd, 0x80);  // int 0x80
    CHECK(excepts(f, p, VEC_UD));
    CHECK_EQ(f->regs.rip, CODE);
}

// Where the host can make cpuid fault, a program is not told of the host's CPU.
static void check_cpuid(struct fixture *f)
{
    if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1L)) { // as it is: only to ask
        SKIP("this host cannot make cpuid fault");
        return;
    }
    struct process *p = START(f, 0, 0x90, 0x0f, 0xa2, SYSCALL); // nop; cpuid; syscall
    CHECK(excepts(f, p, VEC_GP));
    CHECK_EQ(f->regs.rip, CODE + 1);
    CHECK_EQ(f->regs.gpr[RAX], STEP(RAX));
}

static void check_segment_bases(struct fixture *f)
{
    // mov rax, fs:[0]; mov rbx, gs:[0]; wrfsbase rcx; wrgsbase rdx; syscall
    struct process *p = START(f, 0, 0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x65, 0x48, 0x8b, 0x1c, 0x25, 0, 0, 0, 0,
                              0xf3, 0x48, 0x0f, 0xae, 0xd1, 0xf3, 0x48, 0x0f, 0xae, 0xda, SYSCALL);
    *(uint64_t *)(f->ram.base + DATA_AT + 8) = 1;
    *(uint64_t *)(f->ram.base + DATA_AT + 16) = 2;
    f->regs.fs_base = DATA + 8;
    f->regs.gs_base = DATA + 16;
    f->regs.gpr[RCX] = 0x7123456789ab;
    f->regs.gpr[RDX] = 0xfffff00000000000;
    CHECK_EQ(run(f, p), PROCESS_SYSCALL);
    CHECK_EQ(f->regs.gpr[RAX], 1);
    CHECK_EQ(f->regs.gpr[RBX], 2);
    CHECK_EQ(f->regs.fs_base, 0x7123456789ab);
    CHECK_EQ(f->regs.gs_base, 0xfffff00000000000);
}

// ---- Vector registers ----

static void check_vectors(struct fixture *f)
{
    // vmovdqu ymm3, [rdi]; syscall; vmovdqu [rsi], ymm3; syscall
    static const uint8_t code[] = {0xc5, 0xfe, 0x6f, 0x1f, SYSCALL, 0xc5, 0xfe, 0x7f, 0x1e, SYSCALL};
    struct process_regs regs[3];
    uint8_t *data = f->ram.base + DATA_AT;
    for (unsigned n = 0; n < 128; n++)
        data[n] = (uint8_t)(n * 7 + 1);
    for (unsigned i = 0; i < 3; i++) {
        start(f, i, code, sizeof code);
        regs[i] = f->regs;
    }
    regs[0].gpr[RDI] = DATA;
    CHECK_EQ(process_run(at_index(f, 0), &regs[0], &f->attention, &f->info), PROCESS_SYSCALL);
    regs[0].gpr[RSI] = DATA + 0x100;
    CHECK_EQ(process_run(at_index(f, 0), &regs[0], &f->attention, &f->info), PROCESS_SYSCALL);
    CHECK(memcmp(data + 0x100, data, 32) == 0);
    regs[1].rip = CODE + 6;
    regs[1].gpr[RSI] = DATA + 0x200;
    CHECK_EQ(process_run(at_index(f, 1), &regs[1], &f->attention, &f->info), PROCESS_SYSCALL);
    CHECK(memcmp(data + 0x200, data, 32) == 0);
    regs[2].gpr[RDI] = DATA + 32; // another value, in the third
    CHECK_EQ(process_run(at_index(f, 2), &regs[2], &f->attention, &f->info), PROCESS_SYSCALL);
    regs[0].rip = CODE + 6;
    CHECK_EQ(process_run(at_index(f, 0), &regs[0], &f->attention, &f->info), PROCESS_SYSCALL);
    CHECK(memcmp(data + 0x100, data + 32, 32) == 0);

    // Taken, changed and given, ymm3 of xsave's image: the next process has it so, whichever it is.
    uint8_t image[XSAVE_BYTES];
    const unsigned xmm3 = XSAVE_XMM + 3 * 16, ymm3 = XSAVE_YMM + 3 * 16;
    process_take_vectors(f->pool, image);
    CHECK(memcmp(image + xmm3, data + 32, 16) == 0 && memcmp(image + ymm3, data + 48, 16) == 0);
    image[ymm3] ^= 0xff;
    process_give_vectors(f->pool, image);
    regs[1].rip = CODE + 6;
    CHECK_EQ(process_run(at_index(f, 1), &regs[1], &f->attention, &f->info), PROCESS_SYSCALL);
    CHECK(memcmp(data + 0x200, image + xmm3, 16) == 0 && memcmp(data + 0x210, image + ymm3, 16) == 0);
}

// ---- Kicks ----

static void check_kick(struct fixture *f)
{
    struct process *p = START(f, 0, 0x48, 0xff, 0xc0, JUMP_BACK(3)); // inc rax, for ever
    struct kicker k;
    f->regs.gpr[RAX] = 0;
    for (unsigned n = 0; n < 5 || (n < 2000 && f->regs.gpr[RAX] <= 1000); n++) { // a kick may be sooner than its CPU
        uint64_t before = f->regs.gpr[RAX];
        kicks_begin(&k, f, 3000, 1);
        CHECK_EQ(run(f, p), PROCESS_KICKED);
        kicks_end(&k);
        CHECK(f->regs.gpr[RAX] >= before);
        CHECK(f->regs.rip == CODE || f->regs.rip == CODE + 3);
        CHECK_EQ(f->regs.gpr[R15], STEP(R15));
    }
    CHECK(f->regs.gpr[RAX] > 1000);
    f->attention = 1; // set beforehand
    CHECK_EQ(run(f, p), PROCESS_KICKED);
    f->attention = 0;
}

struct storm {
    uint64_t calls, faults, kicked;
};

// One stop of the loop below; false where there should have been none.
static bool storm_stop(struct fixture *f, struct process *p, struct storm *n)
{
    const volatile uint64_t *page = (const volatile uint64_t *)(f->ram.base + 0x200000);
    enum process_stop stop = run(f, p);
    f->attention = 0;
    switch (stop) {
    case PROCESS_SYSCALL:
        n->calls++;
        CHECK_EQ(f->regs.gpr[RBX], n->calls);
        CHECK_EQ(page[0], n->calls);
        CHECK(page[4] == STEP(1) && page[7] == STEP(4));
        CHECK_EQ(f->regs.rip, CODE + 26);
        if (n->calls % 3 == 0)
            queue(p, PROCESS_UNMAP, 0x800000, PAGE, 0, 0);
        return true;
    case PROCESS_EXCEPTION:
        n->faults++;
        CHECK_EQ(f->info.vector, VEC_PF);
        CHECK_EQ(f->info.address, 0x800000);
        queue(p, PROCESS_MAP, 0x800000, PAGE, 0x200000, PROT_READ | PROT_WRITE);
        return true;
    case PROCESS_KICKED:
        n->kicked++;
        return true;
    default:
        return CHECK(!"refused or died");
    }
}

// Kicks at any moment, of a loop that counts, faults and makes system calls, while its page comes and goes: nothing may
// be lost or happen twice, and vector registers stay. mov ecx, 0x1000; dec ecx; jnz; inc rbx; mov [rdi], rbx; vmovdqu
// [rdi + 32], ymm3; syscall; back
static void check_kick_storm(struct fixture *f)
{
    struct process *p = START(f, 0, 0xc5, 0xfe, 0x6f, 0x1e, 0xb9, 0, 0x10, 0, 0, 0xff, 0xc9, 0x75, 0xfc, 0x48, 0xff,
                              0xc3, 0x48, 0x89, 0x1f, 0xc5, 0xfe, 0x7f, 0x5f, 0x20, SYSCALL, JUMP_BACK(22));
    struct kicker k;
    struct storm n = {0};
    bool well = true;
    for (unsigned i = 0; i < 4; i++)
        ((uint64_t *)(f->ram.base + DATA_AT))[i] = STEP(i + 1);
    f->regs.gpr[RBX] = 0;
    f->regs.gpr[RSI] = DATA;
    f->regs.gpr[RDI] = 0x800000;
    for (unsigned i = 0; i < 50 && well && !n.kicked; i++) { // on a busy host none of 2,000 may find the loop under way
        kicks_begin(&k, f, 60, 2000);
        while (!k.done && well)
            well = storm_stop(f, p, &n);
        kicks_end(&k);
        f->attention = 0;
    }
    CHECK(n.faults == n.calls / 3 || n.faults == n.calls / 3 + 1);
    CHECK(n.kicked > 0);
}

// A process that somebody has stopped (SIGSTOP) is let go on, however many signals this thread gets meanwhile: a kick
// that is not seen is repeated by one every few milliseconds.
enum { NUDGES = 30000 }; // for a minute and more
struct nudger {
    pthread_t to, thread;
    unsigned sent;
    atomic_bool done;
};

static void no_more_than_a_nudge(int number)
{
    (void)number;
}

static void *nudge(void *arg)
{
    struct nudger *n = arg;
    for (unsigned i = 0; i < NUDGES && !atomic_load(&n->done); i++, n->sent = i) {
        pthread_kill(n->to, SIGUSR2);
        usleep(2000);
    }
    return NULL;
}

static void check_stopped(struct fixture *f)
{
    struct process *p = START(f, 0, 0x48, 0xff, 0xc0, JUMP_BACK(3)); // inc rax, for ever
    const struct sigaction action = {.sa_handler = no_more_than_a_nudge};
    struct nudger n = {.to = pthread_self()};
    struct kicker k;
    sigaction(SIGUSR2, &action, NULL);
    pthread_create(&n.thread, NULL, nudge, &n);
    kill(p->pid, SIGSTOP);
    kicks_begin(&k, f, 1000, 1);
    CHECK_EQ(run(f, p), PROCESS_KICKED);
    atomic_store(&n.done, true);
    pthread_join(n.thread, NULL);
    CHECK(n.sent < NUDGES); // it takes a second or two: not all of them, and then some
    kicks_end(&k);
    f->attention = 0;
}

// What the host does not do leaves the process able to go on.
static void check_refusal(struct fixture *f)
{
    struct process *p = START(f, 0, SYSCALL);
    queue(p, PROCESS_PROTECT, 0x900000, PAGE, 0, PROT_READ);
    CHECK_EQ(run(f, p), PROCESS_REFUSED);
    p = START(f, 0, SYSCALL);
    for (unsigned i = 0; i < PROCESS_COMMANDS - 4; i++)
        queue(p, PROCESS_MAP, 0x900000 + i * PAGE, PAGE, 0x200000 - i * PAGE, PROT_READ);
    struct process_command more = {.va = 0x800000, .bytes = PAGE, .op = PROCESS_UNMAP};
    CHECK(!process_queue(p, &more));
    CHECK_EQ(run(f, p), PROCESS_SYSCALL);
    CHECK_EQ(f->regs.rip, CODE + 2);
}

// ---- What it costs: with an argument only ----

static void say_time(const char *what, uint64_t *samples, unsigned count, unsigned each)
{
    for (unsigned i = 1; i < count; i++) // the few are sorted as they come
        for (unsigned n = i; n && samples[n] < samples[n - 1]; n--) {
            uint64_t more = samples[n - 1];
            samples[n - 1] = samples[n];
            samples[n] = more;
        }
    printf("%-50s min %7" PRIu64 ", median %7" PRIu64 " cycles\n", what, samples[0] / each, samples[count / 2] / each);
}

enum { SAMPLES = 51, EACH = 500 };

static void time_syscall(struct fixture *f, unsigned processes, const char *what)
{
    uint64_t samples[SAMPLES];
    struct process_regs regs[2];
    for (unsigned i = 0; i < processes; i++) {
        START(f, i, SYSCALL, JUMP_BACK(2));
        regs[i] = f->regs;
    }
    for (unsigned n = 0; n < SAMPLES; n++) {
        uint64_t begin = __rdtsc();
        for (unsigned k = 0; k < EACH; k++)
            process_run(at_index(f, k % processes), &regs[k % processes], &f->attention, &f->info);
        samples[n] = __rdtsc() - begin;
    }
    say_time(what, samples, SAMPLES, EACH);
}

static void time_faults(struct fixture *f, unsigned pages, const char *what)
{
    uint64_t samples[SAMPLES];
    // syscall; mov rax, [rdi]; add rdi, 4096; jmp back
    struct process *p = START(f, 0, SYSCALL, 0x48, 0x8b, 0x07, 0x48, 0x81, 0xc7, 0, 0x10, 0, 0, JUMP_BACK(10));
    const unsigned faults = 512 / pages;
    for (unsigned n = 0; n < SAMPLES; n++) {
        queue(p, PROCESS_UNMAP, 0x1000000, 512 * PAGE, 0, 0);
        f->regs.gpr[RDI] = 0x1000000;
        f->regs.rip = CODE;
        run(f, p);
        uint64_t begin = __rdtsc();
        run(f, p);
        for (unsigned k = 0; k < faults; k++) {
            queue(p, PROCESS_MAP, f->info.address, pages * PAGE, 0x400000 + (k * 37 % faults) * pages * PAGE,
                  PROT_READ);
            run(f, p);
        }
        samples[n] = __rdtsc() - begin;
    }
    say_time(what, samples, SAMPLES, faults);
}

static int time_all(struct fixture *f)
{
    char err[100];
    if (pin_to(pin_default(), err, sizeof err)) // the processes get the others
        printf("# %s\n", err);
    time_syscall(f, 1, "system call and back");
    time_syscall(f, 2, "the same, two processes by turns");
    time_faults(f, 1, "hidden fault, one page");
    time_faults(f, 16, "hidden fault, 16 pages");
    tear_down(f);
    return 0;
}

int main(int argc, char **argv)
{
    struct fixture f;
    setvbuf(stdout, NULL, _IOLBF, 0);
    set_up(&f, 3);
    if (argc > 1 && strcmp(argv[1], "--time") == 0)
        return time_all(&f);
    check_syscalls(&f);
    check_faults(&f);
    check_exceptions(&f);
    check_cpuid(&f);
    check_segment_bases(&f);
    check_vectors(&f);
    check_kick(&f);
    check_kick_storm(&f);
    check_stopped(&f);
    check_refusal(&f);
    tear_down(&f);
    return check_done("bt_process");
}
