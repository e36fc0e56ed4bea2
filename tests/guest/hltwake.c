// SPDX-License-Identifier: BSD-2-Clause
// The idiom of every idle loop, `sti; hlt`: no wake-up is lost however close the interrupt comes, over 200 ticks of a
// millisecond, and time does not run away (SDM vol. 2, HLT, STI).
#include "tests/guest/pc.h"

IMAGE("hltwake");

#define TICKS 200

static volatile unsigned ticks;

static void on_tick(struct trap_frame *frame)
{
    (void)frame;
    ticks++;
    pic_eoi(IRQ_TIMER);
}

extern const char hlt_after[];
static volatile uint64_t rip_seen;

static void on_first_tick(struct trap_frame *frame)
{
    rip_seen = frame->rip;
    on_tick(frame);
}

int image_main(void)
{
    lapic_enable(0xff);
    pic_init();
    trap_set(IRQ_BASE + IRQ_TIMER, on_first_tick);
    pit_start(0, 20000); // long enough to be asleep by then
    pic_unmask(IRQ_TIMER);
    __asm__ volatile(".globl hlt_after\nsti; hlt; hlt_after: cli" : : : "memory");
    CHECK_EQ(ticks, 1);
    CHECK_EQ(rip_seen, (uint64_t)hlt_after); // hlt is behind us

    trap_set(IRQ_BASE + IRQ_TIMER, on_tick);
    ticks = 0;
    pit_start(2, PIT_HZ / 1000);
    for (unsigned i = 0; i < TICKS; i++) {
        unsigned before = ticks;
        if (i % 3 == 1) // sometimes the tick is pending already when hlt is reached
            pit_wait_periods(1);
        __asm__ volatile("sti; hlt; cli" : : : "memory");
        if (ticks == before)
            panic("hlt ended without an interrupt, tick %u", i);
    }
    CHECK(ticks >= TICKS);
    CHECK(ticks < 10 * TICKS);
    return 0;
}
