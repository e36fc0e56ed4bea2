// SPDX-License-Identifier: BSD-2-Clause
// Timer interrupts in endless loops at CPL 3, as a preemptive kernel lives by them: each of the 8254's and the local
// APIC's finds the loop's registers and flags, and the loop goes on with them (SDM vol. 3, 6.12.1, 6.14). Once at the
// image's own upper-half addresses, once at low ones, where user programs live.
#include "guest/layout.h"
#include "tests/guest/feature.h"
#include "tests/guest/pc.h"

IMAGE("preempt");

#define TICKS 25 // of each timer in each loop at each place
#define PERIODS_PER_SECOND 500
#define LAPIC_VECTOR 0x51
#define LAPIC_COUNT 2000000u // about a period, where the bus clock is about 1 GHz; any is good
#define DIVIDE_BY_1 0xbu
#define LOW 0x4000000000ull // the user's pages are there, too
#define FLAGS_USER (FLAG_CF | FLAG_AF | FLAG_SF | FLAG_OF | FLAG_ID)
#define PATTERN(n) (0x0101010101010101ull * (n))
#define BLOCK 4096

// All is reached relative to rip, so that the code runs at either place and uses its own place's stack and data. A loop
// is left by an interrupt handler that moves rip to loops_end; then what the registers hold is stored.
extern const char loops_start[], loops_end[];
extern const char loop_jmp[], loop_store[], loop_call[], loop_stos[], user_data_start[], data_start[];
uint64_t user_loops(void *loop);
extern uint64_t with_sse, seen_gpr[16], seen_flags, seen_xmm[4],
    loop_count; // seen_gpr as in struct trap_frame, r15 first
extern char loop_stack_top[], loop_block[];

#define STRING(x) #x
#define VALUE(x) STRING(x)
#define LOAD(n, reg) "movabsq $0x0101010101010101 * " #n ", %" #reg "\n"
#define KEEP(n, reg) "movq %" #reg ", seen_gpr + 8 * " #n "(%rip)\n"
__asm__(
    ".section .user.text, \"ax\"\nuser_loops:\n"
    "pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
    "movq %rsp, loop_caller(%rip); movq %rdi, loop_target(%rip); leaq loop_stack_top(%rip), %rsp\n"
    // clang-format off
        "cmpq $0, with_sse(%rip); je 1f\n"
        LOAD(10, rbp) "movq %rbp, %xmm0\n" LOAD(11, rbp) "movq %rbp, %xmm15; 1:\n"
        LOAD(1, r15) LOAD(2, r14) LOAD(3, r13) LOAD(4, r12) LOAD(5, r11) LOAD(6, r10) LOAD(7, r9) LOAD(8, r8)
        LOAD(9, rbp) LOAD(10, rdi) LOAD(11, rsi) LOAD(12, rdx) LOAD(13, rcx) LOAD(14, rbx) LOAD(15, rax)
        "pushq $" VALUE(FLAGS_USER) " | 2; popfq; jmp *loop_target(%rip)\n"
        "loops_start:\n"
        "loop_jmp: jmp loop_jmp\n"
        "loop_store: leaq 1(%r15), %r15; movq %r15, loop_count(%rip); jmp loop_store\n"
        "loop_call: call 1f; jmp loop_call; 1: pushq %rbx; movq %rax, (%rsp); leaq 8(%rsp), %rsp; ret\n"
        "loop_stos: leaq loop_block(%rip), %rdi; movl $" VALUE(BLOCK) ", %ecx; rep stosb; jmp loop_stos\n"
        "loops_end:\n"
        KEEP(0, r15) KEEP(1, r14) KEEP(2, r13) KEEP(3, r12) KEEP(4, r11) KEEP(5, r10) KEEP(6, r9) KEEP(7, r8)
        KEEP(8, rbp) KEEP(9, rdi) KEEP(10, rsi) KEEP(11, rdx) KEEP(12, rcx) KEEP(13, rbx) KEEP(14, rax)
    // clang-format on
    "leaq loop_stack_top(%rip), %rsp; pushfq; popq seen_flags(%rip)\n"
    "cmpq $0, with_sse(%rip); je 1f; movdqu %xmm0, seen_xmm(%rip); movdqu %xmm15, seen_xmm+16(%rip)\n"
    "1: pushq $2; popfq; movq loop_caller(%rip), %rsp\n"
    "popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx; ret\n"
    ".section .user.data, \"aw\"\n.balign 16\n"
    "with_sse: .quad 0\nloop_caller: .quad 0\nloop_target: .quad 0\nloop_count: .quad 0\n"
    "seen_gpr: .skip 128\nseen_flags: .quad 0\nseen_xmm: .skip 32\n.balign 16\n.skip 256\nloop_stack_top:\n"
    "loop_block: .skip 4096\n.text");

struct watched { // what the handlers compare with
    uint64_t place, loop;
    volatile unsigned ticks, wrong;
};
static struct watched watched;

static uint64_t here(const char *symbol)
{
    return (uint64_t)symbol + watched.place;
}

static bool registers_right(const struct trap_frame *f)
{
    const uint64_t *gpr = &f->r15;
    for (unsigned i = 0; i < 15; i++) {
        bool counts = i == 0 && watched.loop == here(loop_store);
        bool moves = (i == 9 || i == 12) && watched.loop == here(loop_stos);
        if (gpr[i] != PATTERN(i + 1) && !counts && !moves)
            return false;
    }
    if (watched.loop == here(loop_store)) // nothing yet, or stored already, or about to be
        return f->r15 == PATTERN(1) || f->r15 == loop_count || f->r15 == loop_count + 1;
    if (watched.loop == here(loop_stos) && f->rdi == here(loop_block)) // in front of rep, or at it
        return f->rcx == PATTERN(13) || f->rcx == BLOCK || f->rcx == 0;
    if (watched.loop == here(loop_stos) && f->rdi != PATTERN(10))
        return f->rdi == here(loop_block) + BLOCK - f->rcx;
    return true;
}

// Two pushes deep at most. RF is 1 in the middle of a repeated string instruction (SDM vol. 3, 17.3.1.1).
static bool frame_right(const struct trap_frame *f)
{
    uint64_t top = here(loop_stack_top);
    return f->cs == USER_CS && f->ss == USER_DS && f->rip >= here(loops_start) && f->rip < here(loops_end) &&
           f->rsp <= top && f->rsp >= top - 16 &&
           (f->rflags & ~(uint64_t)FLAG_RF) == (FLAGS_USER | FLAG_IF | FLAG_FIXED1);
}

static void on_tick(struct trap_frame *frame)
{
    if (frame->rip < here(loops_start) || frame->rip >= here(loops_end))
        return; // on the way to the loop or from it
    watched.wrong += !frame_right(frame) || !registers_right(frame);
    if (++watched.ticks >= TICKS)
        frame->rip = here(loops_end);
}

static void on_pit(struct trap_frame *frame)
{
    on_tick(frame);
    pic_eoi(IRQ_TIMER);
}

static void on_lapic(struct trap_frame *frame)
{
    on_tick(frame);
    lapic_write(LAPIC_EOI, 0);
}

static bool kept(void)
{
    for (unsigned i = 0; i < 15; i++) {
        bool counts = i == 0 && watched.loop == here(loop_store);
        bool moves = (i == 9 || i == 12) && watched.loop == here(loop_stos);
        if (seen_gpr[i] != PATTERN(i + 1) && !counts && !moves)
            return false;
    }
    if (!with_sse)
        return true;
    return seen_xmm[0] == PATTERN(10) && seen_xmm[1] == 0 && seen_xmm[2] == PATTERN(11) && seen_xmm[3] == 0;
}

static void preempted(const char *loop)
{
    watched = (struct watched){.place = watched.place, .loop = here(loop)};
    sti();
    run_user((uint64_t(*)(void *))here((const char *)user_loops), (void *)watched.loop);
    cli();
    CHECK_EQ(watched.ticks, TICKS);
    CHECK_EQ(watched.wrong, 0);
    CHECK(kept());
    CHECK_EQ(seen_flags & ~(uint64_t)FLAG_IF, FLAGS_USER | FLAG_FIXED1);
}

static void all_loops(uint64_t place)
{
    watched.place = place;
    preempted(loop_jmp);
    preempted(loop_store);
    preempted(loop_call);
    preempted(loop_stos);
}

static void with_pit(uint64_t place)
{
    pit_start(2, PIT_HZ / PERIODS_PER_SECOND);
    pic_unmask(IRQ_TIMER);
    all_loops(place);
    outb(PIC1_DATA, 0xff);
}

static void with_lapic(uint64_t place)
{
    lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
    lapic_write(LAPIC_LVT_TIMER, LVT_PERIODIC | LAPIC_VECTOR);
    lapic_write(LAPIC_TIMER_INITIAL, LAPIC_COUNT);
    all_loops(place);
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
    lapic_write(LAPIC_TIMER_INITIAL, 0);
}

static void map_low(const char *from, const char *to, uint64_t flags)
{
    for (uint64_t at = (uint64_t)from & ~(uint64_t)0xfff; at < (uint64_t)to; at += 0x1000)
        map_page(at - KERNEL_VIRT_BASE + LOW, at - KERNEL_VIRT_BASE, flags);
}

int image_main(void)
{
    with_sse = HAS_SSE2;
    if (with_sse)
        write_cr4(read_cr4() | CR4_OSFXSR);
    lapic_enable(0xff);
    pic_init();
    trap_set(IRQ_BASE + IRQ_TIMER, on_pit);
    trap_set(LAPIC_VECTOR, on_lapic);
    map_low((const char *)user_loops, loops_end + 256, PTE_P | PTE_U);
    map_low(user_data_start, data_start, PTE_P | PTE_W | PTE_U);
    for (unsigned low = 0; low < 2; low++) {
        uint64_t place = low ? LOW - KERNEL_VIRT_BASE : 0;
        with_pit(place);
        with_lapic(place);
    }
    return 0;
}
