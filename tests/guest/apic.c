// SPDX-License-Identifier: BSD-2-Clause
// The local APIC: one-shot and periodic timer, EOI and in-service, priorities by TPR and cr8, self-IPIs, masks (SDM
// vol. 3, 10.5 to 10.8).
#include "tests/guest/pc.h"

IMAGE("apic");

#define LOW_VECTOR 0x41
#define HIGH_VECTOR 0x61
#define SPURIOUS 0xef
#define ICR_SELF 0x40000u
#define DIVIDE_BY_1 0xbu
#define SHORT_COUNT 100000u

static volatile unsigned low, high;
static volatile bool nest, low_inside_high;

static void on_low(struct trap_frame *frame)
{
    (void)frame;
    low++;
    lapic_write(LAPIC_EOI, 0);
}

static void on_high(struct trap_frame *frame)
{
    (void)frame;
    high++;
    if (nest) { // a lower class waits for our EOI
        lapic_write(LAPIC_ICR_LOW, ICR_SELF | LOW_VECTOR);
        let_in_for(100000);
        low_inside_high = low != 0 || !lapic_bit(LAPIC_ISR, HIGH_VECTOR) || !lapic_bit(LAPIC_IRR, LOW_VECTOR);
    }
    lapic_write(LAPIC_EOI, 0);
}

static void self_ipi(unsigned vector)
{
    lapic_write(LAPIC_ICR_LOW, ICR_SELF | vector);
}

static void self_ipis(void)
{
    low = high = 0;
    self_ipi(LOW_VECTOR);
    CHECK(lapic_bit(LAPIC_IRR, LOW_VECTOR));
    self_ipi(LOW_VECTOR); // one bit holds one request
    CHECK_EQ(let_in(&low, 1), 1);
    CHECK(!lapic_bit(LAPIC_IRR, LOW_VECTOR) && !lapic_bit(LAPIC_ISR, LOW_VECTOR));
    self_ipi(LOW_VECTOR);
    self_ipi(HIGH_VECTOR);
    low = high = 0;
    nest = true;
    let_in(&low, 1);
    CHECK(high == 1 && low == 1);
    CHECK(!low_inside_high);
    nest = false;
}

static void priorities(void)
{
    low = high = 0;
    write_cr8(LOW_VECTOR >> 4);
    CHECK_EQ(lapic_read(LAPIC_TPR), LOW_VECTOR & 0xf0);
    CHECK_EQ(lapic_read(LAPIC_PPR), LOW_VECTOR & 0xf0);
    self_ipi(LOW_VECTOR);
    self_ipi(HIGH_VECTOR);
    let_in(&high, 1);
    let_in_for(100000);
    CHECK(low == 0 && high == 1);
    write_cr8((LOW_VECTOR >> 4) - 1);
    CHECK_EQ(let_in(&low, 1), 1);
    lapic_write(LAPIC_TPR, 0x50);
    CHECK_EQ(read_cr8(), 5);
    lapic_write(LAPIC_TPR, 0);
    CHECK_EQ(read_cr8(), 0);
}

static void timer(void)
{
    low = 0;
    lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
    lapic_write(LAPIC_LVT_TIMER, LOW_VECTOR);
    CHECK_EQ(lapic_read(LAPIC_TIMER_CURRENT), 0);
    lapic_write(LAPIC_TIMER_INITIAL, 0x7fffffff);
    uint32_t before = lapic_read(LAPIC_TIMER_CURRENT), after = lapic_read(LAPIC_TIMER_CURRENT);
    CHECK(before <= 0x7fffffff && after < before);
    lapic_write(LAPIC_TIMER_INITIAL, 0); // stops it
    CHECK_EQ(lapic_read(LAPIC_TIMER_CURRENT), 0);
    sti();
    lapic_write(LAPIC_TIMER_INITIAL, SHORT_COUNT);
    CHECK(wait_until(&low, 1));
    CHECK_EQ(lapic_read(LAPIC_TIMER_CURRENT), 0); // once
    CHECK_EQ(low, 1);
    lapic_write(LAPIC_LVT_TIMER, LVT_PERIODIC | LOW_VECTOR);
    lapic_write(LAPIC_TIMER_INITIAL, 10 * SHORT_COUNT);
    CHECK(wait_until(&low, 6));
    lapic_write(LAPIC_LVT_TIMER, LVT_MASKED | LVT_PERIODIC | LOW_VECTOR);
    cli();
    unsigned seen = low;
    sti();
    uint64_t start = tsc_begin();
    while (tsc_begin() - start < 20000000)
        ;
    cli();
    CHECK(low <= seen + 1); // one may have been on its way
    lapic_write(LAPIC_TIMER_INITIAL, 0);
}

static void registers(void)
{
    CHECK_EQ(lapic_read(LAPIC_VERSION) & 0xf0, 0x10);
    CHECK((read_msr(MSR_APIC_BASE) & (APIC_BASE_ENABLE | APIC_BASE_BSP)) == (APIC_BASE_ENABLE | APIC_BASE_BSP));
    CHECK_EQ(read_msr(MSR_APIC_BASE) & PTE_ADDR, LAPIC);
    CHECK_EQ(lapic_read(LAPIC_SVR) & 0x1ff, SVR_ENABLE | SPURIOUS);
    lapic_write(LAPIC_LVT_LINT1, LVT_MASKED | 0x33);
    CHECK_EQ(lapic_read(LAPIC_LVT_LINT1) & 0x100ff, LVT_MASKED | 0x33);
    lapic_write(LAPIC_ICR_HIGH, 0x05000000);
    CHECK_EQ(lapic_read(LAPIC_ICR_HIGH), 0x05000000);
}

int image_main(void)
{
    lapic_enable(SPURIOUS);
    trap_set(LOW_VECTOR, on_low);
    trap_set(HIGH_VECTOR, on_high);
    registers();
    self_ipis();
    priorities();
    timer();
    return 0;
}
