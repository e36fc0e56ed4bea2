// SPDX-License-Identifier: BSD-2-Clause
// User programs that try to get at whoever runs them: system calls that a host knows, by every instruction that makes
// any, addresses where a monitor might live, a bad stack, other selectors, and all of that with the trap flag set. The
// guest's kernel sees what a processor does, and its other program runs on all the while.
#include "tests/guest/judge.h"
#include "tests/guest/low.h"
#include "tests/guest/pc.h"

IMAGE("direct_hostile");

#define VA 0x5000000000ull
#define WINDOW 0x6ffff0000000ull // a monitor may have something here; nothing of the guest's is
#define WINDOW_BYTES 0x100000ull
#define VSYSCALL 0xffffffffff600000ull
#define USER_RW (PTE_P | PTE_W | PTE_U)

void hostile_syscall(void);
extern uint64_t syscall_rax, syscall_rdi, syscalls;
// syscall comes here, on the user's stack; it goes on behind the instruction with rax 4711.
__asm__(".text\nhostile_syscall: incq syscalls; movq %rax, syscall_rax; movq %rdi, syscall_rdi\n"
        "movl $4711, %eax; sysretq\n"
        ".bss\n.balign 8\nsyscalls: .skip 8\nsyscall_rax: .skip 8\nsyscall_rdi: .skip 8\n.text");

// The same where syscall leaves CPL at 3.
static void on_fault_at_syscall(struct trap_frame *frame)
{
    if (frame->rip != (uint64_t)hostile_syscall || !(frame->error & PF_FETCH))
        panic("page fault 0x%lx at 0x%lx, rip 0x%lx", frame->error, read_cr2(), frame->rip);
    syscalls++;
    syscall_rax = frame->rax, syscall_rdi = frame->rdi;
    frame->rax = 4711, frame->rip = frame->rcx, frame->rflags = frame->r11 | FLAG_FIXED1;
}

struct call {
    uint64_t number, argument[6];
};

static USER_CODE uint64_t make_syscall(void *arg)
{
    const struct call *c = arg;
    register uint64_t r10 __asm__("r10") = c->argument[3];
    register uint64_t r8 __asm__("r8") = c->argument[4];
    register uint64_t r9 __asm__("r9") = c->argument[5];
    uint64_t rax = c->number;
    __asm__ volatile("syscall"
                     : "+a"(rax)
                     : "D"(c->argument[0]), "S"(c->argument[1]), "d"(c->argument[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return rax;
}

#define TRY(name, text)                                                                                                \
    static USER_CODE uint64_t name(void *arg)                                                                          \
    {                                                                                                                  \
        uint64_t a = (uint64_t)arg;                                                                                    \
        __asm__ volatile("movq %%rsp, %%rbx; " text "; movq %%rbx, %%rsp"                                              \
                         : "+a"(a)                                                                                     \
                         :                                                                                             \
                         : "rbx", "rcx", "rdx", "rsi", "rdi", "r11", "memory", "cc");                                  \
        return a;                                                                                                      \
    }
TRY(by_int80, "int $0x80")
TRY(by_sysenter, "sysenter")
TRY(call_rax, "callq *%%rax")
TRY(read_rax, "movq (%%rax), %%rax")
TRY(write_rax, "movq %%rax, (%%rax)")
TRY(push_at_rax, "movq %%rax, %%rsp; pushq $0")
TRY(cpl0_selector, "movw $0x10, %%ax; movw %%ax, %%ds")

// Each with a stack that nobody could put a frame on.
TRY(divide_without_stack, "xorl %%ecx, %%ecx; movq %%rcx, %%rsp; divl %%ecx")
TRY(undefined_without_stack, "movabsq $0x800000000000, %%rsp; ud2")
TRY(read_without_stack, "movabsq $0xffffffff80000000, %%rsp; movq (%%rax), %%rax")

static USER_CODE uint64_t count_up(void *at)
{
    volatile uint64_t *n = at;
    for (unsigned i = 0; i < 1000; i++)
        ++*n;
    return *n;
}

static uint64_t *page;
static uint64_t counted;
static unsigned ticks; // in user code, of this try

// The other program: it is there as before.
static void others_live(void)
{
    counted += 1000;
    CHECK_EQ(low_run(count_up, VA + 64), counted);
}

static void try_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    struct call call = {number, {a, b, c, 0, 0, 0}};
    for (unsigned i = 0; i < sizeof call / 8; i++)
        page[i + 64] = ((uint64_t *)&call)[i];
    uint64_t before = syscalls;
    CHECK_EQ(low_run(make_syscall, VA + 512), 4711);
    CHECK(syscalls == before + 1 && syscall_rax == number && syscall_rdi == a);
}

// Linux's numbers: none of these may reach a Linux that runs this.
static void system_calls(void)
{
    static const uint16_t numbers[] = {0,   1,   2,   9,   10,  11,  13,  15,  39,  56,  57,  59,  60,    62,
                                       101, 157, 158, 231, 257, 317, 334, 335, 336, 424, 435, 511, 0xffff};
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        try_call(numbers[i], 1, VA, 8);
    try_call(59, 0, 0, 0);
    try_call(157, 59, 0, 0); // prctl(PR_SET_SYSCALL_USER_DISPATCH, off)
    try_call(15, 0, 0, 0);   // rt_sigreturn
    try_call(60, 0, 0, 0);   // exit
    try_call(62, 0, 9, 0);   // kill, all of the group
    try_call(~0ull, 0, 0, 0);
    try_call(0x40000001, 1, VA, 8); // x32's write
    others_live();
}

static bool page_fault_at(struct caught c, uint64_t va, uint64_t error)
{
    return c.vector == VEC_PF && c.cr2 == va && (c.error & ~(uint64_t)PF_FETCH) == error;
}

static void other_ways(void)
{
    struct caught c = low_catch(by_int80, 1);
    CHECK_NOT_QEMU(c.vector == VEC_GP && (c.error & ~7ull) == 0x80 * 8);
    others_live();
    c = low_catch(by_sysenter, 1); // not announced, or with no entry point
    // Run directly, an Intel host loses rip (docs/bt.md): a fetch from below 4 GiB, where nothing of this image is.
    bool lost = c.vector == VEC_PF && c.cr2 == c.rip && c.error & PF_FETCH && !(c.rip >> 32);
    CHECK(c.vector == VEC_UD || c.vector == VEC_GP || lost);
    others_live();
    for (unsigned i = 0; i < 3; i++) {
        c = low_catch(call_rax, VSYSCALL + i * 1024);
        CHECK(page_fault_at(c, VSYSCALL + i * 1024, PF_USER));
    }
    c = low_catch(read_rax, VSYSCALL);
    CHECK(page_fault_at(c, VSYSCALL, PF_USER));
    c = low_catch(cpl0_selector, 0);
    CHECK(c.vector == VEC_GP && c.error == 0x10);
    others_live();
}

static void stacks(void)
{
    CHECK_EQ(low_catch(divide_without_stack, 0).vector, VEC_DE);
    CHECK_EQ(low_catch(undefined_without_stack, 0).vector, VEC_UD);
    struct caught c = low_catch(read_without_stack, VA + LOW_PAGE);
    CHECK(page_fault_at(c, VA + LOW_PAGE, PF_USER));
    c = low_catch(push_at_rax, KERNEL_VIRT_BASE + 0x100008);
    CHECK(page_fault_at(c, KERNEL_VIRT_BASE + 0x100000, PF_USER | PF_PRESENT | PF_WRITE));
    others_live();
}

static void on_tick(struct trap_frame *frame)
{
    pic_eoi(IRQ_TIMER);
    if (frame->cs == USER_CS && ++ticks > 1) {
        frame->rip = (uint64_t)low_back, frame->cs = KERNEL_CS, frame->ss = KERNEL_DS;
        frame->rsp = low_rsp, frame->rflags = FLAG_FIXED1;
    }
}

static void timed(void *arg)
{
    struct low_call *c = arg;
    low_run_flags(c->fn, c->arg, FLAG_IF);
}

// Whatever loop it is in, it ends at the timer's second tick.
static void at_most_a_tick(uint64_t (*fn)(void *), uint64_t arg)
{
    struct low_call call = {fn, arg, 0};
    ticks = 0;
    catch_fault(timed, &call);
}

// Where a monitor has something of its own in the program's address space, its parts may answer in place of a page
// fault (docs/bt.md). What may not happen is that anything else suffers from it.
static void window(void)
{
    for (uint64_t at = WINDOW; at < WINDOW + WINDOW_BYTES; at += LOW_PAGE / 2) {
        at_most_a_tick(read_rax, at);
        at_most_a_tick(write_rax, at);
        at_most_a_tick(push_at_rax, at + 8);
    }
    others_live();
    for (uint64_t at = WINDOW; at < WINDOW + 4 * LOW_PAGE; at += 61)
        at_most_a_tick(call_rax, at);
    others_live();
}

// What the program does behind a popf that sets the trap flag is single-stepped, whatever it is.
static unsigned steps;

static void on_debug(struct trap_frame *frame)
{
    (void)frame;
    steps++;
}

static USER_CODE uint64_t syscall_with_tf(void *arg)
{
    uint64_t rax = (uint64_t)arg;
    __asm__ volatile("pushq $0x102; popfq; nop; syscall; pushq $2; popfq" : "+a"(rax) : : "rcx", "r11", "memory");
    return rax;
}

static void trap_flag(void)
{
    trap_set(VEC_DB, on_debug);
    uint64_t before = syscalls;
    CHECK_EQ(low_run(syscall_with_tf, 60), 4711);
    CHECK_EQ(syscalls, before + 1);
    CHECK(steps >= 3);
    trap_set(VEC_DB, NULL);
    others_live();
}

int image_main(void)
{
    low_map();
    page = page_alloc();
    map_page(VA, phys_of(page), USER_RW);
    map_page(VA + LOW_PAGE, 0, 0);
    write_msr(MSR_LSTAR, (uint64_t)hostile_syscall);
    trap_set(VEC_PF, on_fault_at_syscall);
    system_calls();
    trap_flag();
    trap_set(VEC_PF, NULL);
    other_ways();
    stacks();
    pic_init();
    trap_set(IRQ_BASE + IRQ_TIMER, on_tick);
    pit_start(2, PIT_HZ / 500);
    pic_unmask(IRQ_TIMER);
    window();
    return 0;
}
