// SPDX-License-Identifier: BSD-2-Clause
// The real-time clock: a plausible time that goes on, the CMOS memory, the periodic interrupt by IRQ 8 through both
// 8259s and register C (Motorola's MC146818A data sheet).
#include "tests/guest/pc.h"

IMAGE("rtc");

#define CMOS_INDEX 0x70
#define CMOS_DATA 0x71
#define REG_SECONDS 0
#define REG_MINUTES 2
#define REG_HOURS 4
#define REG_DAY 7
#define REG_MONTH 8
#define REG_A 0x0a
#define REG_B 0x0b
#define REG_C 0x0c
#define REG_D 0x0d
#define A_UPDATING 0x80
#define A_RATE_1024_HZ 0x06
#define B_24_HOURS 0x02
#define B_BINARY 0x04
#define B_PERIODIC 0x40
#define C_PERIODIC 0x40
#define C_REQUEST 0x80
#define D_VALID 0x80

static volatile unsigned ticks;
static volatile uint8_t cause;

static uint8_t read_cmos(unsigned reg)
{
    outb(CMOS_INDEX, (uint8_t)reg);
    return inb(CMOS_DATA);
}

static void write_cmos(unsigned reg, uint8_t value)
{
    outb(CMOS_INDEX, (uint8_t)reg);
    outb(CMOS_DATA, value);
}

static unsigned number(uint8_t value)
{
    return read_cmos(REG_B) & B_BINARY ? value : (value >> 4) * 10u + (value & 15);
}

static void on_rtc(struct trap_frame *frame)
{
    (void)frame;
    cause = read_cmos(REG_C);
    ticks++;
    pic_eoi(IRQ_RTC);
}

static void time_of_day(void)
{
    for (uint64_t start = tsc_begin(); read_cmos(REG_A) & A_UPDATING && tsc_begin() - start < PATIENCE_CYCLES;)
        ;
    CHECK(number(read_cmos(REG_SECONDS)) < 60);
    CHECK(number(read_cmos(REG_MINUTES)) < 60);
    CHECK(read_cmos(REG_B) & B_24_HOURS);
    CHECK(number(read_cmos(REG_HOURS)) < 24);
    unsigned day = number(read_cmos(REG_DAY)), month = number(read_cmos(REG_MONTH));
    CHECK(day >= 1 && day <= 31 && month >= 1 && month <= 12);
    CHECK(read_cmos(REG_D) & D_VALID);
    uint8_t before = read_cmos(REG_SECONDS);
    for (uint64_t start = tsc_begin(); read_cmos(REG_SECONDS) == before && tsc_begin() - start < PATIENCE_CYCLES;)
        ;
    CHECK(read_cmos(REG_SECONDS) != before);
}

static void periodic(void)
{
    trap_set(IRQ_BASE + IRQ_RTC, on_rtc);
    read_cmos(REG_C);
    write_cmos(REG_A, (uint8_t)((read_cmos(REG_A) & 0x70) | A_RATE_1024_HZ));
    write_cmos(REG_B, read_cmos(REG_B) | B_PERIODIC);
    pic_unmask(IRQ_RTC);
    sti();
    CHECK(wait_until(&ticks, 20));
    cli();
    CHECK_EQ(cause & (C_PERIODIC | C_REQUEST), C_PERIODIC | C_REQUEST);
    write_cmos(REG_B, read_cmos(REG_B) & (uint8_t)~B_PERIODIC);
    read_cmos(REG_C);
    CHECK_EQ(read_cmos(REG_C) & C_REQUEST, 0); // the first read has cleared it
}

int image_main(void)
{
    lapic_enable(0xff);
    pic_init();
    time_of_day();
    periodic();
    return 0;
}
