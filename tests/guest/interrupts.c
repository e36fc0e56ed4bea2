// SPDX-License-Identifier: BSD-2-Clause
// Interrupts from the 8254 through the 8259: IF, the shadow of sti, masks, EOI, and the state behind them (8259A data
// sheet; SDM vol. 2, STI; vol. 3, 6.8).
#include "tests/guest/pc.h"

IMAGE("interrupts");

static volatile unsigned ticks;
static volatile bool eoi_wanted;

static void on_tick(struct trap_frame *frame)
{
    ticks++;
    (void)frame;
    if (eoi_wanted)
        pic_eoi(IRQ_TIMER);
}

static void masks(void)
{
    ticks = 0;
    pit_start(0, 100);
    CHECK(pic_wait_request(IRQ_TIMER));
    sti();
    for (volatile unsigned i = 0; i < 100; i++)
        ;
    CHECK_EQ(ticks, 0); // masked in the 8259
    cli();
    pic_unmask(IRQ_TIMER);
    for (volatile unsigned i = 0; i < 100; i++)
        ;
    CHECK_EQ(ticks, 0); // IF is 0
    CHECK_EQ(let_in(&ticks, 1), 1);
    CHECK_EQ(pic_status(PIC_READ_ISR), 0);
    CHECK_EQ(pic_status(PIC_READ_IRR) & 1, 0);
}

static void end_of_interrupt(void)
{
    eoi_wanted = false;
    ticks = 0;
    pit_start(2, 1193);
    sti();
    CHECK(wait_until(&ticks, 1));
    CHECK_EQ(pic_status(PIC_READ_ISR), 1 << IRQ_TIMER);
    pit_wait_periods(3); // a request of theirs is latched, but for KVM's 8254, which makes none before the EOI
    CHECK_EQ(ticks, 1);  // in service: no second one
    eoi_wanted = true;
    pic_eoi(IRQ_TIMER);
    CHECK(wait_until(&ticks, 5));
    cli();
}

int image_main(void)
{
    lapic_enable(0xff);
    pic_init();
    trap_set(IRQ_BASE + IRQ_TIMER, on_tick);
    eoi_wanted = true;
    masks();
    end_of_interrupt();
    outb(PIC1_DATA, 0xff);
    return 0;
}
