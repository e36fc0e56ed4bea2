// SPDX-License-Identifier: BSD-2-Clause
// Loops without end, of every sort that a guest can be made of, each left by a timer interrupt only: direct and
// indirect jumps, returns, calls that are never returned from, string instructions over huge ranges. With loop=NAME on
// the command line that one runs with interrupts off: for tests of time limits.
#include "tests/guest/access.h"
#include "tests/guest/pc.h"

IMAGE("abuse_loop");

#define HUGE_VA 0x500000000000ull
#define GIB (1ull << 30)
#define HUGE_GIB 64

static void loop_jmp(void)
{
    __asm__ volatile("1: jmp 1b");
}

static void loop_forward(void) // two indirect jumps: one of them looks ahead
{
    __asm__ volatile("leaq 1f(%%rip), %%rax; leaq 2f(%%rip), %%rcx; jmp *%%rax;"
                     "1: nop; jmp *%%rcx; ud2; 2: nop; jmp *%%rax"
                     :
                     :
                     : "rax", "rcx");
}

static void loop_ret(void) // returns to behind a call, for ever
{
    __asm__ volatile("call 2f; 1: leaq -8(%rsp), %rsp; 2: ret");
}

static void loop_ret_computed(void)
{
    __asm__ volatile("leaq 1f(%%rip), %%rax; 1: pushq %%rax; ret" : : : "rax");
}

static void loop_call(void) // and the stack is put back by hand
{
    __asm__ volatile("1: leaq 8(%rsp), %rsp; call 1b");
}

static void loop_jrcxz(void)
{
    __asm__ volatile("xorl %%ecx, %%ecx; 1: jrcxz 1b" : : : "rcx");
}

static void loop_stos(void)
{
    __asm__ volatile("1: movq %0, %%rdi; movq %1, %%rcx; rep stosb; jmp 1b"
                     :
                     : "r"(HUGE_VA), "r"(HUGE_GIB * GIB)
                     : "rdi", "rcx", "memory");
}

static void loop_movs(void) // downwards: byte by byte
{
    __asm__ volatile("std; 1: movq %0, %%rdi; movq %%rdi, %%rsi; movq %1, %%rcx; rep movsb; jmp 1b"
                     :
                     : "r"(HUGE_VA + HUGE_GIB * GIB - 1), "r"(HUGE_GIB * GIB)
                     : "rdi", "rsi", "rcx", "memory");
}

static void loop_scas(void)
{
    __asm__ volatile("1: movq %0, %%rdi; movq %1, %%rcx; movb $1, %%al; repne scasb; jmp 1b"
                     :
                     : "r"(HUGE_VA), "r"(HUGE_GIB * GIB)
                     : "rax", "rdi", "rcx", "memory", "cc");
}

static const struct {
    const char *name;
    void (*loop)(void);
} loops[] = {{"jmp", loop_jmp},   {"forward", loop_forward}, {"ret", loop_ret},   {"ret_computed", loop_ret_computed},
             {"call", loop_call}, {"jrcxz", loop_jrcxz},     {"stos", loop_stos}, {"movs", loop_movs},
             {"scas", loop_scas}};
#define LOOPS (sizeof loops / sizeof *loops)

static uint64_t way_out[8]; // what setjmp would save; registers that a function keeps

static void on_tick(struct trap_frame *frame)
{
    pic_eoi(IRQ_TIMER);
    frame->rbx = way_out[0], frame->rbp = way_out[1], frame->rsp = way_out[2], frame->rip = way_out[3];
    frame->r12 = way_out[4], frame->r13 = way_out[5], frame->r14 = way_out[6], frame->r15 = way_out[7];
    frame->rflags = FLAG_FIXED1; // interrupts off, and up again
}

// Runs the loop with interrupts on until the timer has ended it.
__attribute__((noinline)) static void run_loop(void (*loop)(void))
{
    pit_start(0, 3000);
    __asm__ volatile(
        "movq %%rbx, 0(%0); movq %%rbp, 8(%0); movq %%rsp, 16(%0); leaq 1f(%%rip), %%rax; movq %%rax, 24(%0);"
        "movq %%r12, 32(%0); movq %%r13, 40(%0); movq %%r14, 48(%0); movq %%r15, 56(%0);"
        "sti; call *%1; 1: cli"
        :
        : "D"(way_out), "S"(loop)
        : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
}

// 64 GiB of addresses that all lead to the same 2 MiB of RAM.
static void map_huge(void)
{
    map_page(HUGE_VA, 0, 0); // makes the tables above
    uint64_t large = 0x400000 | PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS | PTE_NX;
    uint64_t *directory = page_alloc(), *pdpt = (uint64_t *)(pte_of(HUGE_VA, 3));
    for (unsigned i = 0; i < 512; i++)
        directory[i] = large;
    for (unsigned i = 0; i < HUGE_GIB; i++)
        pdpt[i] = phys_of(directory) | PTE_P | PTE_W;
    write_cr3(read_cr3());
}

static bool same_word(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b || (!*a && *b == ' ');
}

int image_main(void)
{
    const char *name = option("loop");
    map_huge();
    for (unsigned i = 0; name && i < LOOPS; i++)
        if (same_word(loops[i].name, name))
            loops[i].loop();
    lapic_enable(0xff);
    pic_init();
    trap_set(IRQ_BASE + IRQ_TIMER, on_tick);
    pic_unmask(IRQ_TIMER);
    for (unsigned i = 0; i < LOOPS; i++) {
        run_loop(loops[i].loop);
        check_record(true, loops[i].name, 0, 0);
    }
    return 0;
}
