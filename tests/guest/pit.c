// SPDX-License-Identifier: BSD-2-Clause
// The 8254: counts down, latches, tells its mode, channel 2 with gate and output at port 0x61 (8254 data sheet).
#include "tests/guest/pc.h"

IMAGE("pit");

#define CHANNEL2 0x42
#define SPEAKER 0x61
#define SPEAKER_GATE2 0x01
#define SPEAKER_OUT2 0x20
#define READ_BACK 0xc0
#define READ_BACK_NO_COUNT 0x20
#define READ_BACK_CHANNEL0 0x02
#define STATUS_MODE 0x0e

static bool wait_output2(void)
{
    uint64_t start = tsc_begin();
    while (!(inb(SPEAKER) & SPEAKER_OUT2))
        if (tsc_begin() - start > PATIENCE_CYCLES)
            return false;
    return true;
}

static void counting(void)
{
    pit_start(2, 0xffff);
    unsigned first = pit_count(), smaller = 0;
    for (unsigned i = 0; i < 20; i++) {
        for (uint64_t start = tsc_begin(); tsc_begin() - start < 20000;) // some counts
            ;
        unsigned now = pit_count();
        smaller += now < first; // may wrap around once in a while
        first = now;
    }
    CHECK(smaller >= 10);
    // A latched count stays until it is read.
    outb(PIT_COMMAND, PIT_LATCH0);
    outb(PIT_COMMAND, PIT_LATCH0);
    unsigned low = inb(PIT_CHANNEL0), count = low | (unsigned)inb(PIT_CHANNEL0) << 8;
    CHECK(count <= 0xffff && count > 0);
    outb(PIT_COMMAND, READ_BACK | READ_BACK_NO_COUNT | READ_BACK_CHANNEL0);
    CHECK_EQ(inb(PIT_CHANNEL0) & STATUS_MODE, 2 << 1);
    pit_start(3, 0xffff);
    outb(PIT_COMMAND, READ_BACK | READ_BACK_NO_COUNT | READ_BACK_CHANNEL0);
    CHECK_EQ(inb(PIT_CHANNEL0) & (STATUS_MODE | 0x30), 3 << 1 | 0x30); // low byte, then high
}

// Mode 0 on channel 2 takes count / PIT_HZ seconds, as the TSC sees it; the shortest of some tries, as the output can
// be seen late but never early. 0 where it never came.
static uint64_t one_shot(unsigned count)
{
    uint64_t shortest = ~0ull;
    for (unsigned try = 0; try < 5; try++) {
        outb(SPEAKER, SPEAKER_GATE2);
        outb(PIT_COMMAND, 0xb0); // channel 2, both bytes, mode 0
        outb(CHANNEL2, (uint8_t)count), outb(CHANNEL2, (uint8_t)(count >> 8));
        uint64_t start = tsc_begin();
        if (!wait_output2())
            return 0;
        uint64_t took = tsc_begin() - start;
        shortest = took < shortest ? took : shortest;
    }
    return shortest;
}

int image_main(void)
{
    counting();
    uint64_t brief = one_shot(20), lengthy = one_shot(40000);
    CHECK(brief > 0 && lengthy > 10 * brief);
    return 0;
}
