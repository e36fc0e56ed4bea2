// SPDX-License-Identifier: BSD-2-Clause
// Breakpoints of the debug registers: on instructions, where RF holds them off; on data of each length, read or
// written, wherever an access overlaps it; on ports; from CPL 0 and 3 (SDM vol. 3, 17.2 and 17.3.1). QEMU misses some;
// the host's debug registers are the judge of tests/unit/breakpoints.c.
#include "guest/insn.h"
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"

IMAGE("breakpoints");

#define DR6_FIXED 0xffff0ff0ull
#define DR6_EVENTS 0xe00full
#define DR6_BD 0x2000ull
#define DR6_BS 0x4000ull
#define DR7_GD 0x2000ull
enum { ON_EXECUTION, ON_WRITE, ON_PORT, ON_ACCESS };
enum { LENGTH_1, LENGTH_2, LENGTH_8, LENGTH_4 };

static volatile struct {
    unsigned count;
    struct {
        uint64_t rip, rcx, rflags, dr6;
    } at[16];
    bool set_rf; // in the frame, as for a breakpoint's instruction
} seen;

static void write_dr6(uint64_t v)
{
    __asm__ volatile("movq %0, %%dr6" : : "r"(v) : "memory");
}

static void write_dr7(uint64_t v)
{
    __asm__ volatile("movq %0, %%dr7" : : "r"(v) : "memory");
}

static uint64_t read_dr6(void)
{
    uint64_t v;
    __asm__ volatile("movq %%dr6, %0" : "=r"(v) : : "memory");
    return v;
}

static uint64_t read_dr7(void)
{
    uint64_t v;
    __asm__ volatile("movq %%dr7, %0" : "=r"(v) : : "memory");
    return v;
}

static void write_address(unsigned n, uint64_t v)
{
    switch (n) {
    case 0:
        __asm__ volatile("movq %0, %%dr0" : : "r"(v) : "memory");
        break;
    case 1:
        __asm__ volatile("movq %0, %%dr1" : : "r"(v) : "memory");
        break;
    case 2:
        __asm__ volatile("movq %0, %%dr2" : : "r"(v) : "memory");
        break;
    default:
        __asm__ volatile("movq %0, %%dr3" : : "r"(v) : "memory");
    }
}

static uint64_t control(unsigned n, unsigned kind, unsigned length)
{
    return 2ull << (2 * n) | (uint64_t)(kind | length << 2) << (16 + 4 * n);
}

static void on_debug(struct trap_frame *frame)
{
    if (seen.count < sizeof seen.at / sizeof seen.at[0]) {
        seen.at[seen.count].rip = frame->rip;
        seen.at[seen.count].rcx = frame->rcx;
        seen.at[seen.count].rflags = frame->rflags;
        seen.at[seen.count].dr6 = read_dr6() & DR6_EVENTS;
    }
    seen.count++;
    write_dr6(DR6_FIXED);
    if (seen.set_rf)
        frame->rflags |= FLAG_RF;
}

// How many there were, by names under which a back end may be known to miss them (tests/limits).
static unsigned data_hits(void)
{
    return seen.count;
}

static unsigned port_hits(void)
{
    return seen.count;
}

static void watch(unsigned n, const volatile void *at, unsigned kind, unsigned length)
{
    seen.count = 0;
    seen.set_rf = kind == ON_EXECUTION;
    write_dr7(0);
    write_address(n, (uint64_t)at);
    write_dr7(control(n, kind, length));
}

static void watch_off(void)
{
    write_dr7(0);
}

// ---- Instructions ----

extern const char bp_a[], bp_b[], bp_loop[], bp_rep[], bp_after_rep[], bp_ss[], bp_shadow[], bp_ss_after[];

static __attribute__((noinline)) uint64_t stretch(void)
{
    uint64_t n;
    __asm__ volatile(".globl bp_a, bp_b\n"
                     "xorl %%eax, %%eax\n"
                     "bp_a: incl %%eax\n"
                     "incl %%eax\n"
                     "bp_b: incl %%eax"
                     : "=a"(n)
                     :
                     : "cc");
    return n;
}

static __attribute__((noinline)) uint64_t looped(uint64_t n)
{
    uint64_t r;
    __asm__ volatile(".globl bp_loop\n"
                     "xorl %%eax, %%eax\n"
                     "1: incl %%eax\n"
                     "bp_loop: decq %%rcx\n"
                     "jnz 1b"
                     : "=a"(r), "+c"(n)
                     :
                     : "cc");
    return r;
}

static void on_instructions(void)
{
    CHECK_EQ(stretch(), 3); // code that has run before
    watch(0, bp_a, ON_EXECUTION, LENGTH_1);
    CHECK_EQ(stretch(), 3);
    CHECK_EQ(seen.count, 1);
    CHECK(seen.at[0].rip == (uint64_t)bp_a && seen.at[0].dr6 == 1);
    CHECK(!(seen.at[0].rflags & FLAG_RF)); // the handler's to set
    CHECK_EQ(stretch(), 3);
    CHECK_EQ(seen.count, 2);
    watch(3, bp_b, ON_EXECUTION, LENGTH_1);
    write_address(0, 0); // else dr6 might name it, which is not enabled (SDM vol. 3, 17.2.3)
    write_address(2, (uint64_t)bp_a);
    write_dr7(control(2, ON_EXECUTION, LENGTH_1) | control(3, ON_EXECUTION, LENGTH_1));
    CHECK_EQ(stretch(), 3);
    CHECK_EQ(seen.count, 2);
    CHECK(seen.at[0].rip == (uint64_t)bp_a && seen.at[0].dr6 == 4);
    CHECK(seen.at[1].rip == (uint64_t)bp_b && seen.at[1].dr6 == 8);
    watch(0, bp_loop, ON_EXECUTION, LENGTH_1);
    CHECK_EQ(looped(5), 5);
    CHECK_EQ(seen.count, 5);
    CHECK_EQ(seen.at[4].rcx, 1);
    watch_off();
    seen.count = 0;
    CHECK(looped(5) == 5 && stretch() == 3);
    CHECK_EQ(seen.count, 0);
}

static __attribute__((noinline)) void repeated(void)
{
    char from[4] = "abc", to[4] = "";
    const char *si = from;
    char *di = to;
    uint64_t rcx = 3;
    __asm__ volatile(".globl bp_rep, bp_after_rep\n"
                     "bp_rep: rep movsb\n"
                     "bp_after_rep: nop"
                     : "+S"(si), "+D"(di), "+c"(rcx)
                     :
                     : "memory");
    CHECK(to[0] == 'a' && to[2] == 'c');
}

static __attribute__((noinline)) void repeated_stepping(void)
{
    char from[4] = "abc", to[4] = "";
    const char *si = from;
    char *di = to;
    uint64_t rcx = 3;
    __asm__ volatile("pushfq; pushfq; orq %3, (%%rsp); popfq\n"
                     "rep movsb\n"
                     "popfq"
                     : "+S"(si), "+D"(di), "+c"(rcx)
                     : "i"(FLAG_TF)
                     : "memory", "cc");
}

static __attribute__((noinline)) void around_stack_segment(void)
{
    __asm__ volatile(".globl bp_ss, bp_shadow, bp_ss_after\n"
                     "movl %%ss, %%eax\n"
                     "bp_ss: movl %%eax, %%ss\n"
                     "bp_shadow: nop\n"
                     "bp_ss_after: nop"
                     :
                     :
                     : "rax", "memory");
}

// What comes between a breakpoint and its instruction: RF, a string's iterations, the shadow of a load of ss.
static void held_off(void)
{
    watch(1, bp_rep, ON_EXECUTION, LENGTH_1);
    repeated();
    CHECK_EQ_NOT_QEMU(seen.count, 1);
    CHECK(seen.at[0].rip == (uint64_t)bp_rep && seen.at[0].rcx == 3 && seen.at[0].dr6 == 2);
    watch(1, bp_after_rep, ON_EXECUTION, LENGTH_1);
    repeated();
    CHECK_EQ(seen.count, 1);
    watch(0, bp_shadow, ON_EXECUTION, LENGTH_1);
    around_stack_segment();
    CHECK_EQ_NOT_QEMU(seen.count, 0);
    watch(0, bp_ss_after, ON_EXECUTION, LENGTH_1);
    around_stack_segment();
    CHECK_EQ(seen.count, 1);
    watch_off();
    // A step in the middle of a repeated instruction says so by RF, the one at its end does not.
    seen.count = 0;
    repeated_stepping();
    CHECK_EQ(seen.count, 4);
    CHECK_NOT_QEMU(seen.at[0].rflags & FLAG_RF && seen.at[1].rflags & FLAG_RF);
    CHECK(!(seen.at[2].rflags & FLAG_RF) && !(seen.at[3].rflags & FLAG_RF));
}

static void jump_to(void *arg)
{
    ((void (*)(void))arg)();
}

// A breakpoint comes before a fault of fetching its instruction (SDM vol. 3, table 6-2).
static void on_absent_page(void)
{
    void *absent = (void *)0xffffffffc0123456;
    watch(0, absent, ON_EXECUTION, LENGTH_1);
    struct caught c = catch_fault(jump_to, absent);
    CHECK_EQ(c.vector, VEC_PF);
    CHECK_EQ_NOT_QEMU(seen.count, 1);
    CHECK_NOT_QEMU(seen.at[0].rip == (uint64_t)absent);
    watch_off();
}

// ---- Data ----

static volatile uint8_t data[8192] __attribute__((aligned(4096)));
extern const char w_1[];

static __attribute__((noinline)) void store(volatile void *at, unsigned size)
{
    if (size == 1)
        __asm__ volatile("movb $1, (%0)" : : "r"(at) : "memory");
    else if (size == 2)
        __asm__ volatile("movw $1, (%0)" : : "r"(at) : "memory");
    else if (size == 4)
        __asm__ volatile("movl $1, (%0)" : : "r"(at) : "memory");
    else
        __asm__ volatile("movq $1, (%0)" : : "r"(at) : "memory");
}

static __attribute__((noinline)) void load(const volatile void *at, unsigned size)
{
    uint64_t v;
    if (size == 1)
        __asm__ volatile("movb (%1), %b0" : "=&r"(v) : "r"(at) : "memory");
    else if (size == 2)
        __asm__ volatile("movw (%1), %w0" : "=&r"(v) : "r"(at) : "memory");
    else if (size == 4)
        __asm__ volatile("movl (%1), %k0" : "=&r"(v) : "r"(at) : "memory");
    else
        __asm__ volatile("movq (%1), %0" : "=&r"(v) : "r"(at) : "memory");
}

// Every access around a watched range, by whether it should be noticed.
static unsigned wrong_around(unsigned kind, unsigned code, unsigned length, unsigned offset)
{
    unsigned wrong = 0;
    volatile uint8_t *watched = data + 4096 - 64 + offset;
    uint64_t start = (uint64_t)watched & -(uint64_t)length;
    watch(2, watched, kind, code);
    for (uint64_t at = start - 12; at < start + 20; at++) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            bool meets = at < start + length && start < at + size;
            seen.count = 0;
            store((void *)at, size);
            wrong += seen.count != meets || (meets && seen.at[0].dr6 != 4);
            seen.count = 0;
            load((void *)at, size);
            wrong += seen.count != (meets && kind == ON_ACCESS);
        }
    }
    watch_off();
    return wrong;
}

static void on_data(void)
{
    static const struct {
        unsigned code, length;
    } lengths[] = {{LENGTH_1, 1}, {LENGTH_2, 2}, {LENGTH_4, 4}, {LENGTH_8, 8}};
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ_NOT_QEMU(wrong_around(ON_WRITE, lengths[i].code, lengths[i].length, 0), 0);
        CHECK_EQ_NOT_QEMU(wrong_around(ON_ACCESS, lengths[i].code, lengths[i].length, 16), 0);
        CHECK_EQ_NOT_QEMU(wrong_around(ON_ACCESS, lengths[i].code, lengths[i].length, 64 - lengths[i].length), 0);
    }
    CHECK_EQ_NOT_QEMU(wrong_around(ON_WRITE, LENGTH_4, 4, 3), 0); // the lowest bits of the address do not count
}

static __attribute__((noinline)) void store_and_go_on(volatile uint64_t *at)
{
    __asm__ volatile(".globl w_1\n"
                     "movq $7, (%0)\n"
                     "w_1: incq (%0)\n"
                     "incq 64(%0)"
                     :
                     : "r"(at)
                     : "memory", "cc");
}

static __attribute__((noinline)) uint64_t call_and_push(volatile uint64_t *stack_top)
{
    uint64_t v;
    __asm__ volatile("movq %%rsp, %%rbx\n"
                     "movq %1, %%rsp\n"
                     "call 1f\n"
                     "jmp 2f\n"
                     "1: ret\n"
                     "2: pushq $5\n"
                     "popq %0\n"
                     "movq %%rbx, %%rsp"
                     : "=&r"(v)
                     : "r"(stack_top)
                     : "rbx", "memory");
    return v;
}

// The trap comes behind the instruction: what it has written is there, rip is at the next one.
static void traps(void)
{
    volatile uint64_t *at = (volatile uint64_t *)(data + 256);
    at[8] = 0;
    watch(0, at, ON_WRITE, LENGTH_8);
    store_and_go_on(at);
    CHECK_EQ(data_hits(), 2);
    CHECK(seen.at[0].rip == (uint64_t)w_1 && seen.at[0].dr6 == 1 && !(seen.at[0].rflags & FLAG_RF));
    CHECK(at[0] == 8 && at[8] == 1);
    watch(0, at, ON_ACCESS, LENGTH_8);
    CHECK_EQ(call_and_push(at + 1), 5);
    CHECK_EQ(data_hits(), 4); // call, ret, push, pop
    watch(0, at, ON_WRITE, LENGTH_8);
    CHECK_EQ(call_and_push(at + 1), 5);
    CHECK_EQ(data_hits(), 2);
    watch_off();
    // Two at once, one of them twice as large
    watch(1, at, ON_WRITE, LENGTH_8);
    write_address(2, (uint64_t)at + 4);
    write_dr7(control(1, ON_WRITE, LENGTH_8) | control(2, ON_WRITE, LENGTH_1));
    store(at, 8);
    CHECK_NOT_QEMU(data_hits() == 1 && seen.at[0].dr6 == 6);
    store(at, 4);
    CHECK(data_hits() == 2 && seen.at[1].dr6 == 2);
    watch_off();
}

static void strings(void)
{
    volatile uint8_t *at = data + 512;
    void *di = (void *)(at - 4);
    uint64_t rcx = 16;
    watch(0, at, ON_WRITE, LENGTH_2);
    __asm__ volatile("rep stosb" : "+D"(di), "+c"(rcx) : "a"(3) : "memory");
    // Behind each iteration, or, where a processor stores more at once, later (SDM vol. 3, 17.3.1.2).
    CHECK(data_hits() >= 1 && seen.at[0].dr6 == 1);
    CHECK_NOT_QEMU(data_hits() <= 2);
    CHECK(at[-4] == 3 && at[11] == 3 && rcx == 0);
    watch_off();
}

static void faulting(void *arg)
{
    __asm__ volatile("movq $1, %%rax; pushq (%0)" : : "r"(arg) : "rax", "memory");
}

// An instruction that faults has met nothing.
static void faults_first(void)
{
    volatile uint64_t *absent = (volatile uint64_t *)0xffffffffc0123458;
    watch(0, absent, ON_ACCESS, LENGTH_8);
    CHECK_EQ(catch_fault(faulting, (void *)absent).vector, VEC_PF);
    CHECK_EQ(seen.count, 0);
    watch_off();
}

// mov to ss from memory that is watched: the trap waits for the instruction behind (SDM vol. 3, 6.8.3).
extern const char late[];
static void late_trap(void)
{
    volatile uint16_t *at = (volatile uint16_t *)(data + 1024);
    uint16_t ss;
    __asm__ volatile("movw %%ss, %0" : "=r"(ss));
    *at = ss;
    watch(0, at, ON_ACCESS, LENGTH_2);
    __asm__ volatile(".globl late\n"
                     "movw (%0), %%ss\n"
                     "nop\n"
                     "late: nop"
                     :
                     : "r"(at)
                     : "memory");
    watch_off();
    CHECK_EQ_NOT_QEMU(data_hits(), 1);
    CHECK_NOT_QEMU(seen.at[0].rip == (uint64_t)late);
}

static __attribute__((noinline)) void step_and_store(volatile uint64_t *at)
{
    __asm__ volatile("pushfq; pushfq; orq %1, (%%rsp); popfq\n"
                     "movq $9, (%0)\n"
                     "popfq"
                     :
                     : "r"(at), "i"(FLAG_TF)
                     : "memory", "cc");
}

static void together_with_steps(void)
{
    volatile uint64_t *at = (volatile uint64_t *)(data + 2048);
    watch(0, at, ON_WRITE, LENGTH_8);
    step_and_store(at);
    CHECK_EQ_NOT_QEMU(seen.count, 2);
    CHECK_EQ(seen.at[0].dr6, DR6_BS | 1);
    CHECK_EQ_NOT_QEMU(seen.at[1].dr6, DR6_BS);
    watch_off();
}

// ---- CPL 3 ----

static USER_DATA volatile uint64_t user_data[512];
extern const char user_bp[];

static USER_CODE uint64_t user_touch(void *arg)
{
    uint64_t *at = arg;
    __asm__ volatile(".globl user_bp\n"
                     "incq (%0)\n"
                     "user_bp: incq 8(%0)\n"
                     "pushq (%0)\n"
                     "popq 8(%0)"
                     :
                     : "r"(at)
                     : "memory", "cc");
    return at[1];
}

static void from_user(void)
{
    user_data[0] = 5;
    CHECK_EQ(run_user(user_touch, (void *)user_data), 6);
    watch(0, user_bp, ON_EXECUTION, LENGTH_1);
    CHECK_EQ(run_user(user_touch, (void *)user_data), 7);
    CHECK(seen.count == 1 && seen.at[0].rip == (uint64_t)user_bp && seen.at[0].dr6 == 1);
    watch(0, &user_data[1], ON_WRITE, LENGTH_8);
    CHECK_EQ(run_user(user_touch, (void *)user_data), 8);
    CHECK_EQ(data_hits(), 2);
    watch(0, &user_data[0], ON_ACCESS, LENGTH_8);
    CHECK_EQ(run_user(user_touch, (void *)user_data), 9);
    CHECK_EQ(data_hits(), 2);
    CHECK_EQ(seen.at[0].rip, (uint64_t)user_bp);
    watch_off();
    seen.count = 0;
    CHECK_EQ(run_user(user_touch, (void *)user_data), 10);
    CHECK_EQ(seen.count, 0);
}

// ---- Ports ----

static void on_ports(void)
{
    char bytes[3] = "xyz";
    const char *si = bytes;
    uint64_t rcx = 3;
    write_cr4(read_cr4() | CR4_DE);
    watch(0, (void *)0x80, ON_PORT, LENGTH_2);
    outb(0x80, 1);
    CHECK(port_hits() == 1 && seen.at[0].dr6 == 1);
    outb(0x81, 1);
    CHECK_EQ(port_hits(), 2);
    outb(0x84, 1);
    CHECK_EQ(port_hits(), 2);
    outw(0x7f, 1);
    CHECK_EQ_NOT_QEMU(port_hits(), 3);
    seen.count = 0;
    inb(0x80);
    CHECK_EQ(port_hits(), 1);
    seen.count = 0;
    __asm__ volatile("rep outsb" : "+S"(si), "+c"(rcx) : "d"(0x80) : "memory");
    CHECK_EQ_NOT_QEMU(port_hits(), 3);
    CHECK_EQ_NOT_QEMU(rcx, 0);
    watch(0, (void *)(uint64_t)0x80, ON_ACCESS, LENGTH_2); // memory there is something else
    outb(0x80, 1);
    CHECK_EQ(port_hits(), 0);
    watch_off();
    write_cr4(read_cr4() & ~(uint64_t)CR4_DE);
}

// ---- General detect: any use of a debug register is a fault in front of it ----

extern const char detected[];
static void general_detect(void)
{
    uint64_t v;
    seen.count = 0;
    seen.set_rf = false;
    write_dr7(DR7_GD);
    __asm__ volatile(".globl detected\ndetected: movq %%dr0, %0" : "=r"(v) : : "memory");
    CHECK_EQ_NOT_QEMU(seen.count, 1);
    CHECK_NOT_QEMU(seen.at[0].rip == (uint64_t)detected && seen.at[0].dr6 == DR6_BD);
    CHECK_NOT_QEMU(!(read_dr7() & DR7_GD)); // cleared when the handler was entered
}

int image_main(void)
{
    trap_set(VEC_DB, on_debug);
    on_instructions();
    held_off();
    on_absent_page();
    on_data();
    traps();
    strings();
    faults_first();
    late_trap();
    together_with_steps();
    from_user();
    if (HAS_DE)
        on_ports();
    general_detect();
    return 0;
}
