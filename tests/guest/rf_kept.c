// SPDX-License-Identifier: BSD-2-Clause
// RF in the frames of what comes between two instructions: what it is then, and no fault's 1. An iret loads it, and it
// holds until an instruction has been executed (SDM vol. 3, 17.3.1.1), of which none has where an interrupt comes right
// behind.
#include "tests/guest/pc.h"

IMAGE("rf_kept");

#define ICR_FIXED 0x40000u // to itself
#define ICR_NMI 0x40400u
#define VECTOR 0x60

static struct trap_frame seen;
static unsigned count;

static void on_interrupt(struct trap_frame *frame)
{
    seen = *frame;
    count++;
    if (frame->vector == VECTOR)
        lapic_write(LAPIC_EOI, 0);
}

// The first one leaves by an iret that loads RF, and behind which the second one has waited.
static void on_nmi(struct trap_frame *frame)
{
    seen = *frame;
    if (count++)
        return;
    lapic_write(LAPIC_ICR_LOW, ICR_NMI);
    for (volatile unsigned i = 0; i < 1000; i++)
        ;
    frame->rflags |= FLAG_RF;
}

static void nmi_behind_iret(void)
{
    count = 0;
    lapic_write(LAPIC_ICR_LOW, ICR_NMI);
    for (volatile unsigned i = 0; i < 1000; i++)
        ;
    CHECK_EQ(count, 2);
    CHECK(seen.rflags & FLAG_RF);
}

// Goes on behind itself with these flags, by iretq; nops, because an interrupt that waits need not be there at once.
extern const char behind_iret[];
static void iret_with(uint64_t flags)
{
    __asm__ volatile("movq %%rsp, %%rax; movl %%ss, %%ecx; pushq %%rcx; pushq %%rax; pushq %0; movl %%cs, %%ecx\n"
                     "pushq %%rcx; leaq behind_iret(%%rip), %%rax; pushq %%rax; iretq\n"
                     "behind_iret: nop; nop; nop; nop; pushq $2; popfq"
                     :
                     : "r"(flags)
                     : "rax", "rcx", "memory", "cc");
}

static void interrupt_behind_iret(uint64_t flags)
{
    count = 0;
    lapic_write(LAPIC_ICR_LOW, ICR_FIXED | VECTOR);
    for (volatile unsigned i = 0; i < 1000; i++) // until it waits
        ;
    iret_with(FLAG_FIXED1 | FLAG_IF | flags);
    CHECK_EQ(count, 1);
    CHECK_EQ(seen.rip, (uint64_t)behind_iret);
    CHECK_EQ(seen.rflags & FLAG_RF, flags & FLAG_RF);
}

int image_main(void)
{
    lapic_enable(0xff);
    trap_set(VECTOR, on_interrupt);
    interrupt_behind_iret(0);
    interrupt_behind_iret(FLAG_RF);
    interrupt_behind_iret(0);
    trap_set(VEC_NMI, on_nmi);
    nmi_behind_iret();
    return 0;
}
