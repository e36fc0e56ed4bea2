// SPDX-License-Identifier: BSD-2-Clause
// A pending interrupt is taken behind the instruction behind sti, not before it; popf
// has no such shadow (SDM vol. 2, STI, POPF; vol. 3, 6.8).
#include "tests/guest/pc.h"

IMAGE("stishadow");

static volatile unsigned ticks;
static volatile uint64_t rip_seen;
extern const char sti_end[], popf_end[];

static void on_tick(struct trap_frame *frame)
{
    ticks++;
    rip_seen = frame->rip;
    pic_eoi(IRQ_TIMER);
}

static void make_pending(void)
{
    ticks = 0;
    pit_start(0, 100);
    CHECK(pic_wait_request(IRQ_TIMER));
}

int image_main(void)
{
    lapic_enable(0xff);
    pic_init();
    trap_set(IRQ_BASE + IRQ_TIMER, on_tick);
    pic_unmask(IRQ_TIMER);
    make_pending();
    for (unsigned i = 0; i < 5; i++)
        __asm__ volatile("sti; cli");
    CHECK_EQ(ticks, 0);
    __asm__ volatile(".globl sti_end\nsti; nop; sti_end: cli");
    CHECK_EQ(ticks, 1);
    CHECK_EQ(rip_seen, (uint64_t)sti_end);

    make_pending();
    __asm__ volatile(".globl popf_end\npushq $0x202; popfq; popf_end: cli; pushq $2; popfq" : : : "cc", "memory");
    CHECK_EQ(ticks, 1);
    CHECK_EQ(rip_seen, (uint64_t)popf_end);
    return 0;
}
