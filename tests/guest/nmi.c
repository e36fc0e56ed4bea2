// SPDX-License-Identifier: BSD-2-Clause
// NMIs by self-IPI: one at once, one more within its handler waits for the handler's iret and comes right behind it,
// and several that wait are one (SDM vol. 3, 6.7.1).
#include "tests/guest/pc.h"

IMAGE("nmi");

#define ICR_NMI 0x40400u // to itself, delivery mode NMI

static volatile unsigned count, at_end_of_first, depth, deepest;
static bool again;

static void on_nmi(struct trap_frame *frame)
{
    (void)frame;
    depth++;
    deepest = depth > deepest ? depth : deepest;
    if (count++ == 0) {
        if (again) {
            lapic_write(LAPIC_ICR_LOW, ICR_NMI);
            lapic_write(LAPIC_ICR_LOW, ICR_NMI);
            for (volatile unsigned i = 0; i < 1000; i++)
                ;
        }
        at_end_of_first = count;
    }
    depth--;
}

static void send(bool nested)
{
    count = at_end_of_first = 0;
    again = nested;
    lapic_write(LAPIC_ICR_LOW, ICR_NMI);
    for (volatile unsigned i = 0; i < 1000; i++)
        ;
}

int image_main(void)
{
    lapic_enable(0xff);
    trap_set(VEC_NMI, on_nmi);
    send(false);
    CHECK_EQ(count, 1);
    send(true);
    CHECK_EQ(at_end_of_first, 1);
    CHECK_EQ(count, 2);
    CHECK_EQ(deepest, 1);
    send(true);
    CHECK_EQ(count, 2);
    return 0;
}
