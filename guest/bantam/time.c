// SPDX-License-Identifier: BSD-2-Clause
// The timer interrupt, by the 8254 through the 8259s (Intel's data sheets of both), and what programs see of time.
#include "guest/bantam/kernel.h"
#include "guest/insn.h"

#define PIC1 0x20
#define PIC1_DATA 0x21
#define PIC2 0xa0
#define PIC2_DATA 0xa1
#define PIC_INIT 0x11 // ICW1: edge, cascade, ICW4 follows
#define PIC_8086 0x01 // ICW4
#define PIC_EOI 0x20  // OCW2, non-specific
#define IRQ_TIMER 0
#define IRQ_CASCADE 2

#define PIT_HZ 1193182
#define PIT_CHANNEL0 0x40
#define PIT_COMMAND 0x43
#define PIT_PERIODIC0 0x34 // channel 0, both bytes, mode 2
#define PIT_LATCH0 0x00
#define TICK_COUNTS (PIT_HZ / TICK_HZ)

#define NANOSECONDS 1000000000ull
#define MEASUREMENTS 2
#define CLOCK_MONOTONIC 1
#define CLOCK_MONOTONIC_RAW 4
#define CLOCK_BOOTTIME 7

struct timespec {
    int64_t seconds, nanoseconds;
};

static struct {
    struct wait_queue sleepers;
    uint64_t wake_at; // nanoseconds: when the first of them is to wake
    uint64_t ticks;
    uint64_t tsc_start, tsc_hz;
} clock;

static uint64_t read_tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

// One moment by both clocks. The TSC is read on both sides, since a host may stop us at any instruction.
struct moment {
    uint64_t tsc_before, tsc_after;
    unsigned count; // of channel 0, downwards
};

static struct moment at_next_tick(void)
{
    struct moment m;
    uint64_t tick = clock.ticks;
    while (clock.ticks == tick)
        wait_for_interrupt();
    do { // ticks that a busy host owes us are not of now
        tick = clock.ticks;
        __asm__ volatile("sti; nop; cli" : : : "memory");
    } while (clock.ticks != tick);
    m.tsc_before = read_tsc();
    outb(PIT_COMMAND, PIT_LATCH0);
    m.tsc_after = read_tsc();
    m.count = inb(PIT_CHANNEL0);
    m.count |= (unsigned)inb(PIT_CHANNEL0) << 8;
    return m;
}

// From one tick to the next, halted and not polling. Where the host stopped us, an interval looks too long but never
// too short: the shortest of some.
static uint64_t measure_tsc_hz(void)
{
    uint64_t least = UINT64_MAX;
    struct moment start = at_next_tick();
    for (unsigned i = 0; i < MEASUREMENTS; i++) {
        struct moment end = at_next_tick();
        uint64_t counts = start.count + TICK_COUNTS - end.count;
        uint64_t hz = (end.tsc_after - start.tsc_before) * PIT_HZ / counts;
        least = hz < least ? hz : least;
        start = end;
    }
    return least;
}

// Since the start. It is measured when somebody asks for the first time: most programs never do.
static uint64_t nanoseconds(void)
{
    if (!clock.tsc_hz)
        clock.tsc_hz = measure_tsc_hz();
    uint64_t cycles = read_tsc() - clock.tsc_start;
    return cycles / clock.tsc_hz * NANOSECONDS + cycles % clock.tsc_hz * NANOSECONDS / clock.tsc_hz;
}

void time_init(void)
{
    outb(PIC1, PIC_INIT), outb(PIC2, PIC_INIT);
    outb(PIC1_DATA, IRQ_BASE), outb(PIC2_DATA, IRQ_BASE + 8);
    outb(PIC1_DATA, 1 << IRQ_CASCADE), outb(PIC2_DATA, IRQ_CASCADE);
    outb(PIC1_DATA, PIC_8086), outb(PIC2_DATA, PIC_8086);
    outb(PIC1_DATA, 0xff & ~(1 << IRQ_TIMER)), outb(PIC2_DATA, 0xff);
    outb(PIT_COMMAND, PIT_PERIODIC0);
    outb(PIT_CHANNEL0, (uint8_t)TICK_COUNTS), outb(PIT_CHANNEL0, TICK_COUNTS >> 8);
    clock.tsc_start = read_tsc();
}

void time_interrupt(unsigned irq)
{
    if (irq != IRQ_TIMER)
        return; // all others are masked: a spurious one, which wants no end of interrupt
    outb(PIC1, PIC_EOI);
    clock.ticks++;
    if (clock.sleepers.first && nanoseconds() >= clock.wake_at)
        wake(&clock.sleepers); // who has time left sleeps again
    if (process_others_wait())
        cpu.work |= WORK_TURN;
}

// sti lets it in behind hlt only (SDM vol. 2, STI), so that none is missed.
void wait_for_interrupt(void)
{
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}

// ---- What programs see ----

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){(int64_t)(ns / NANOSECONDS), (int64_t)(ns % NANOSECONDS)};
}

// Time since the start, by the TSC.
int64_t sys_clock_gettime(struct trap_frame *frame)
{
    uint64_t id = ARG0(frame);
    if (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_RAW && id != CLOCK_BOOTTIME)
        return -EINVAL;
    struct timespec now = timespec_of(nanoseconds());
    return copy_to_user(ARG1(frame), &now, sizeof now);
}

// To the first tick at which the time is over.
int64_t sys_nanosleep(struct trap_frame *frame)
{
    struct timespec asked;
    if (copy_from_user(&asked, ARG0(frame), sizeof asked))
        return -EFAULT;
    if (asked.seconds < 0 || asked.nanoseconds < 0 || asked.nanoseconds >= (int64_t)NANOSECONDS)
        return -EINVAL;
    uint64_t seconds = (uint64_t)asked.seconds < UINT32_MAX ? (uint64_t)asked.seconds : UINT32_MAX, now;
    uint64_t until = nanoseconds() + seconds * NANOSECONDS + (uint64_t)asked.nanoseconds;
    while (nanoseconds() < until) {
        if (!clock.sleepers.first || until < clock.wake_at)
            clock.wake_at = until;
        if (!sleep_on(&clock.sleepers))
            continue;
        now = nanoseconds();
        struct timespec rest = timespec_of(until > now ? until - now : 0);
        return ARG1(frame) && copy_to_user(ARG1(frame), &rest, sizeof rest) ? -EFAULT : -EINTR;
    }
    return 0;
}
