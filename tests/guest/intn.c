// SPDX-License-Identifier: BSD-2-Clause
// int n: the gate's DPL against the CPL, present bit, what the error code names, interrupt and trap gates' IF, and the
// way back (SDM vol. 3, 6.12.1).
#include "guest/insn.h"
#include "guest/state.h"
#include "tests/guest/judge.h"

IMAGE("intn");

#define VECTOR 0x81
#define GATE_ERROR (VECTOR * 8 + 2)
#define GATE_PRESENT 0x8000
#define GATE_TYPE_BIT 0x100 // interrupt gate 0xe, trap gate 0xf

static struct {
    unsigned count;
    uint64_t rip, cs, flags_inside;
} seen;

static void on_vector(struct trap_frame *frame)
{
    seen.count++;
    seen.rip = frame->rip;
    seen.cs = frame->cs;
    seen.flags_inside = read_flags();
}

static void set_gate(unsigned dpl)
{
    trap_set(VECTOR, on_vector);
    idt_set_raw(VECTOR, (void (*)(void))(trap_stubs + (size_t)VECTOR * TRAP_STUB_BYTES), 0, dpl);
    seen.count = 0;
}

extern const char int_after[], user_int_at[], user_int_after[];

static __attribute__((noinline)) void interrupt(void *arg)
{
    (void)arg;
    __asm__ volatile(".globl int_after\nint $0x81\nint_after:" : : : "memory");
}

static USER_CODE uint64_t user_interrupt(void *arg)
{
    __asm__ volatile(".globl user_int_at, user_int_after\nuser_int_at: int $0x81\nuser_int_after:" : : : "memory");
    return (uint64_t)arg + 1;
}

static void run(void *arg)
{
    run_user(user_interrupt, arg);
}

static void missing(void *arg)
{
    (void)arg;
    __asm__ volatile("int $0xf0" : : : "memory");
}

static void at_cpl0(void)
{
    struct caught m = catch_fault(missing, NULL);
    CHECK_EQ(m.vector, VEC_GP);
    CHECK_EQ_NOT_QEMU(m.error, 0xf0 * 8 + 2);
    set_gate(0);
    CHECK_EQ(catch_fault(interrupt, NULL).vector, -1);
    CHECK(seen.count == 1 && seen.rip == (uint64_t)int_after && seen.cs == KERNEL_CS);
    guest.idt[VECTOR].attributes &= (uint16_t)~GATE_PRESENT;
    struct caught c = catch_fault(interrupt, NULL);
    CHECK_EQ(c.vector, VEC_NP);
    CHECK_EQ_NOT_QEMU(c.error, GATE_ERROR); // QEMU multiplies the vector by 16
    // With IF set, an interrupt gate clears it and a trap gate does not. Nothing can interrupt: the 8259s are masked.
    set_gate(0);
    sti();
    interrupt(NULL);
    CHECK(!(seen.flags_inside & FLAG_IF));
    CHECK(read_flags() & FLAG_IF);
    guest.idt[VECTOR].attributes |= GATE_TYPE_BIT;
    interrupt(NULL);
    CHECK(seen.flags_inside & FLAG_IF);
    cli();
}

static void at_cpl3(void)
{
    set_gate(0);
    struct caught c = catch_fault(run, NULL);
    CHECK_EQ(c.vector, VEC_GP);
    CHECK_EQ_NOT_QEMU(c.error, GATE_ERROR); // QEMU multiplies the vector by 16
    CHECK_EQ(c.rip, (uint64_t)user_int_at);
    set_gate(3);
    CHECK_EQ(run_user(user_interrupt, (void *)41), 42);
    CHECK(seen.count == 1 && seen.rip == (uint64_t)user_int_after && seen.cs == USER_CS);
}

int image_main(void)
{
    at_cpl0();
    at_cpl3();
    return 0;
}
