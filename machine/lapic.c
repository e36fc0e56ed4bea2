// SPDX-License-Identifier: BSD-2-Clause
// The local APIC as SDM vol. 3, chapter 11 describes it, for one processor. No x2APIC, no TSC-deadline mode: CPUID
// announces neither. The timer's input clock is 1 GHz, so that a count of 1 is a nanosecond at divider 1.
#include "machine/lapic.h"

#include "x86/regs.h"

enum {
    REG_ID = 0x20,
    REG_VERSION = 0x30,
    REG_TPR = 0x80,
    REG_PPR = 0xa0,
    REG_EOI = 0xb0,
    REG_LDR = 0xd0,
    REG_DFR = 0xe0,
    REG_SVR = 0xf0,
    REG_ISR = 0x100,
    REG_TMR = 0x180,
    REG_IRR = 0x200,
    REG_ESR = 0x280,
    REG_ICR_LOW = 0x300,
    REG_ICR_HIGH = 0x310,
    REG_LVT = 0x320,
    REG_LVT_END = REG_LVT + 0x10 * LVT_COUNT,
    REG_TIMER_INITIAL = 0x380,
    REG_TIMER_CURRENT = 0x390,
    REG_TIMER_DIVIDE = 0x3e0,
};

#define VERSION ((LVT_COUNT - 1) << 16 | 0x14)
#define SVR_ENABLE 0x100u
#define SVR_WRITABLE 0x1ffu
#define LVT_MASKED 0x10000u
#define LVT_PERIODIC 0x20000u
#define LVT_MODE(lvt) ((lvt) >> 8 & 7)
#define ICR_WRITABLE 0x000ccfffu
#define ICR_LOGICAL 0x800u
#define ICR_SHORTHAND(icr) ((icr) >> 18 & 3)
#define DFR_FIXED_ONES 0x0fffffffu
#define DFR_FLAT 0xf
#define ESR_SEND_ILLEGAL 0x20u
#define ESR_RECEIVE_ILLEGAL 0x40u
#define ESR_ILLEGAL_REGISTER 0x80u
#define FIRST_LEGAL_VECTOR 16
#define BROADCAST 0xff
#define DIVIDE_WRITABLE 0xbu

enum { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };

static const uint32_t lvt_writable[LVT_COUNT] = {
    [LVT_TIMER] = LVT_PERIODIC | LVT_MASKED | 0xff,
    [LVT_THERMAL] = LVT_MASKED | 0x7ff,
    [LVT_COUNTERS] = LVT_MASKED | 0x7ff,
    [LVT_LINT0] = LVT_MASKED | 0xa7ff,
    [LVT_LINT1] = LVT_MASKED | 0xa7ff,
    [LVT_ERROR] = LVT_MASKED | 0xff,
};

// ---- 256-bit registers ----

static void bit_set(uint32_t *bits, unsigned n)
{
    bits[n / 32] |= 1u << n % 32;
}

static void bit_clear(uint32_t *bits, unsigned n)
{
    bits[n / 32] &= ~(1u << n % 32);
}

static bool bit_test(const uint32_t *bits, unsigned n)
{
    return bits[n / 32] >> n % 32 & 1;
}

static int highest_bit(const uint32_t *bits)
{
    for (int i = 7; i >= 0; i--)
        if (bits[i])
            return i * 32 + 31 - __builtin_clz(bits[i]);
    return -1;
}

// ---- Priority (SDM vol. 3, 11.8.3) ----

static bool globally_enabled(const struct lapic *l)
{
    return l->vcpu->apic_base & APIC_BASE_ENABLE;
}

static bool accepts(const struct lapic *l)
{
    return globally_enabled(l) && (l->svr & SVR_ENABLE);
}

// A mov to cr8 sets bits 7:4 and clears 3:0 (SDM vol. 3, 11.8.6).
static uint8_t tpr(const struct lapic *l)
{
    return l->tpr >> 4 == l->vcpu->cr8 ? l->tpr : (uint8_t)(l->vcpu->cr8 << 4);
}

static void write_tpr(struct lapic *l, uint8_t value)
{
    l->tpr = value;
    l->vcpu->cr8 = value >> 4;
}

static unsigned class_of(int vector)
{
    return vector < 0 ? 0 : (unsigned)vector >> 4;
}

static uint8_t ppr(const struct lapic *l)
{
    unsigned served = class_of(highest_bit(l->isr));
    return tpr(l) >> 4 >= served ? tpr(l) : (uint8_t)(served << 4);
}

int lapic_pending(const struct lapic *l)
{
    int vector = highest_bit(l->irr);
    return globally_enabled(l) && class_of(vector) > ppr(l) >> 4 ? vector : -1;
}

int lapic_acknowledge(struct lapic *l)
{
    int vector = lapic_pending(l);
    if (vector >= 0) {
        bit_clear(l->irr, (unsigned)vector);
        bit_set(l->isr, (unsigned)vector);
    }
    return vector;
}

// Only where it is the task priority alone that holds an interrupt back does lowering cr8 let it through.
void lapic_set_threshold(struct lapic *l)
{
    unsigned wanted = globally_enabled(l) ? class_of(highest_bit(l->irr)) : 0;
    bool waits = wanted > class_of(highest_bit(l->isr)) && wanted <= l->vcpu->cr8;
    l->vcpu->tpr_threshold = waits ? (uint8_t)wanted : 0;
}

// ---- Taking interrupts ----

static void raise_error(struct lapic *l, uint32_t error);

static bool accept(struct lapic *l, uint8_t vector, bool level)
{
    if (!accepts(l))
        return false;
    if (vector < FIRST_LEGAL_VECTOR) {
        raise_error(l, ESR_RECEIVE_ILLEGAL);
        return true;
    }
    bit_set(l->irr, vector);
    if (level)
        bit_set(l->tmr, vector);
    else
        bit_clear(l->tmr, vector);
    l->calls.changed(l->calls.ctx);
    return true;
}

static void raise_error(struct lapic *l, uint32_t error)
{
    uint32_t lvt = l->lvt[LVT_ERROR];
    bool again = l->esr_collected & error;
    l->esr_collected |= error;
    if (!again && !(lvt & LVT_MASKED) && (lvt & 0xff) >= FIRST_LEGAL_VECTOR)
        accept(l, (uint8_t)lvt, false);
}

// SDM vol. 3, 11.6.2
static bool is_for_us(const struct lapic *l, uint8_t destination, bool logical)
{
    if (!logical)
        return destination == l->id >> 24 || destination == BROADCAST;
    uint8_t own = (uint8_t)(l->ldr >> 24);
    if (l->dfr >> 28 == DFR_FLAT)
        return own & destination;
    bool cluster = destination >> 4 == own >> 4 || destination >> 4 == 0xf;
    return cluster && (own & destination & 0xf);
}

static bool take(struct lapic *l, const struct apic_message *m)
{
    switch (m->mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        return accept(l, m->vector, m->level);
    case APIC_NMI:
        l->calls.nmi(l->calls.ctx);
        return true;
    default: // SMI, INIT and start-up have no use here; ExtINT comes over LINT0
        return true;
    }
}

bool lapic_deliver(struct lapic *l, const struct apic_message *m)
{
    return globally_enabled(l) && is_for_us(l, m->destination, m->logical) && take(l, m);
}

static void send_ipi(struct lapic *l)
{
    struct apic_message m = {.vector = (uint8_t)l->icr_low,
                             .mode = l->icr_low >> 8 & 7,
                             .destination = (uint8_t)(l->icr_high >> 24),
                             .logical = l->icr_low & ICR_LOGICAL};
    if ((m.mode == APIC_FIXED || m.mode == APIC_LOWEST) && m.vector < FIRST_LEGAL_VECTOR) {
        raise_error(l, ESR_SEND_ILLEGAL);
        return;
    }
    unsigned shorthand = ICR_SHORTHAND(l->icr_low);
    if (shorthand == SHORTHAND_SELF || shorthand == SHORTHAND_ALL)
        take(l, &m);
    else if (shorthand == SHORTHAND_NONE)
        lapic_deliver(l, &m);
}

static void end_of_interrupt(struct lapic *l)
{
    int vector = highest_bit(l->isr);
    if (vector < 0)
        return;
    bit_clear(l->isr, (unsigned)vector);
    if (bit_test(l->tmr, (unsigned)vector))
        l->calls.eoi(l->calls.ctx, (uint8_t)vector);
}

void lapic_set_lint0(struct lapic *l, bool level)
{
    uint32_t lvt = l->lvt[LVT_LINT0];
    bool rises = level && !l->lint0;
    l->lint0 = level;
    if (!rises || !globally_enabled(l) || (lvt & LVT_MASKED))
        return;
    const struct apic_message m = {.vector = (uint8_t)lvt, .mode = LVT_MODE(lvt)};
    take(l, &m);
}

bool lapic_takes_extint(const struct lapic *l)
{
    uint32_t lvt = l->lvt[LVT_LINT0];
    return !globally_enabled(l) || (!(lvt & LVT_MASKED) && LVT_MODE(lvt) == APIC_EXTINT);
}

// ---- Timer (SDM vol. 3, 11.5.4) ----

// Divide configuration: bits 3, 1, 0 say 2, 4, ... 128, and 7 says 1.
static unsigned divide_shift(uint32_t divide)
{
    return ((divide & 3) + (divide >> 1 & 4) + 1) & 7;
}

static bool timer_periodic(const struct lapic *l)
{
    return l->lvt[LVT_TIMER] & LVT_PERIODIC;
}

static uint64_t timer_elapsed(const struct lapic *l, uint64_t now)
{
    return (now - l->timer_start) >> divide_shift(l->timer_divide);
}

static uint32_t timer_current(const struct lapic *l, uint64_t now)
{
    uint64_t e = timer_elapsed(l, now);
    if (!l->timer_running || (!timer_periodic(l) && e >= l->timer_initial))
        return 0;
    return (uint32_t)(l->timer_initial - e % l->timer_initial);
}

void lapic_tick(struct lapic *l, uint64_t now)
{
    if (!l->timer_running)
        return;
    uint64_t n = timer_elapsed(l, now) / l->timer_initial;
    if (n <= l->timer_fired)
        return;
    l->timer_fired = n; // periods that nobody looked at have merged into one interrupt, as in the IRR
    l->timer_running = timer_periodic(l);
    if (!(l->lvt[LVT_TIMER] & LVT_MASKED))
        accept(l, (uint8_t)l->lvt[LVT_TIMER], false);
}

uint64_t lapic_deadline(const struct lapic *l)
{
    if (!l->timer_running || (l->lvt[LVT_TIMER] & LVT_MASKED))
        return NEVER;
    return l->timer_start + ((l->timer_fired + 1) * l->timer_initial << divide_shift(l->timer_divide));
}

// Mode or divider change: the count goes on from where it is.
static void timer_rebase(struct lapic *l, uint64_t now, uint32_t divide)
{
    if (l->timer_running) {
        uint64_t counted = timer_elapsed(l, now) % l->timer_initial;
        l->timer_start = now - (counted << divide_shift(divide));
        l->timer_fired = 0;
    }
    l->timer_divide = divide;
}

static void timer_start(struct lapic *l, uint64_t now, uint32_t initial)
{
    l->timer_initial = initial;
    l->timer_running = initial != 0;
    l->timer_start = now;
    l->timer_fired = 0;
}

// ---- Registers ----

static void write_lvt(struct lapic *l, unsigned index, uint32_t value, uint64_t now)
{
    if (index == LVT_TIMER)
        timer_rebase(l, now, l->timer_divide);
    value &= lvt_writable[index];
    if (!(l->svr & SVR_ENABLE))
        value |= LVT_MASKED;
    l->lvt[index] = value;
}

// Turned off by software, the APIC masks its LVT for good (SDM vol. 3, 11.4.7.2).
static void write_svr(struct lapic *l, uint32_t value)
{
    l->svr = value & SVR_WRITABLE;
    for (unsigned i = 0; i < LVT_COUNT && !(l->svr & SVR_ENABLE); i++)
        l->lvt[i] |= LVT_MASKED;
}

static uint32_t read_register(struct lapic *l, unsigned reg)
{
    if (reg >= REG_ISR && reg < REG_ESR) {
        const uint32_t *bits = reg < REG_TMR ? l->isr : reg < REG_IRR ? l->tmr : l->irr;
        return bits[reg >> 4 & 7];
    }
    if (reg >= REG_LVT && reg < REG_LVT_END)
        return l->lvt[(reg - REG_LVT) >> 4];
    switch (reg) {
    case REG_ID:
        return l->id;
    case REG_VERSION:
        return VERSION;
    case REG_TPR:
        return tpr(l);
    case REG_PPR:
        return ppr(l);
    case REG_LDR:
        return l->ldr;
    case REG_DFR:
        return l->dfr;
    case REG_SVR:
        return l->svr;
    case REG_ESR:
        return l->esr;
    case REG_ICR_LOW:
        return l->icr_low;
    case REG_ICR_HIGH:
        return l->icr_high;
    case REG_TIMER_INITIAL:
        return l->timer_initial;
    case REG_TIMER_CURRENT:
        return timer_current(l, clock_now(l->clock));
    case REG_TIMER_DIVIDE:
        return l->timer_divide;
    default:
        raise_error(l, ESR_ILLEGAL_REGISTER);
        return 0;
    }
}

static void write_timer(struct lapic *l, unsigned reg, uint32_t value)
{
    uint64_t now = clock_now(l->clock);
    lapic_tick(l, now); // what was due came before this
    l->clock->moved = true;
    if (reg == REG_TIMER_INITIAL)
        timer_start(l, now, value);
    else if (reg == REG_TIMER_DIVIDE)
        timer_rebase(l, now, value & DIVIDE_WRITABLE);
    else
        write_lvt(l, LVT_TIMER, value, now);
}

static void write_register(struct lapic *l, unsigned reg, uint32_t value)
{
    switch (reg) {
    case REG_ID:
        l->id = value & 0xff000000;
        break;
    case REG_TPR:
        write_tpr(l, (uint8_t)value);
        break;
    case REG_EOI:
        end_of_interrupt(l);
        break;
    case REG_LDR:
        l->ldr = value & 0xff000000;
        break;
    case REG_DFR:
        l->dfr = value | DFR_FIXED_ONES;
        break;
    case REG_SVR:
        write_svr(l, value);
        break;
    case REG_ESR: // a write makes what was collected visible
        l->esr = l->esr_collected;
        l->esr_collected = 0;
        break;
    case REG_ICR_LOW:
        l->icr_low = value & ICR_WRITABLE;
        send_ipi(l);
        break;
    case REG_ICR_HIGH:
        l->icr_high = value & 0xff000000;
        break;
    case REG_LVT:
    case REG_TIMER_INITIAL:
    case REG_TIMER_DIVIDE:
        write_timer(l, reg, value);
        break;
    default:
        if (reg > REG_LVT && reg < REG_LVT_END)
            write_lvt(l, (reg - REG_LVT) >> 4, value, 0);
        else
            raise_error(l, ESR_ILLEGAL_REGISTER);
    }
    l->calls.changed(l->calls.ctx);
}

// Registers are 32 bits wide at multiples of 16 (SDM vol. 3, 11.4.1). Other reads see their bytes and zeros between
// them; writes that are not to a whole register do nothing.
static enum vcpu_exit lapic_read(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    unsigned within = offset & 0xf;
    (void)size;
    *value = within < 4 ? read_register(dev, (unsigned)offset & ~0xfu) >> 8 * within : 0;
    return VCPU_CONTINUE;
}

static enum vcpu_exit lapic_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    if (size >= 4 && !(offset & 0xf))
        write_register(dev, (unsigned)offset, (uint32_t)value);
    return VCPU_CONTINUE;
}

// ---- Set-up ----

static void reset(struct lapic *l)
{
    *l = (struct lapic){.vcpu = l->vcpu, .clock = l->clock, .calls = l->calls, .lint0 = l->lint0};
    l->dfr = ~0u;
    l->svr = 0xff;
    for (unsigned i = 0; i < LVT_COUNT; i++)
        l->lvt[i] = LVT_MASKED;
}

// As a PC's firmware leaves it: enabled, with the PIC's output on LINT0 ("virtual wire") and NMI on LINT1.
void lapic_init(struct lapic *l, struct vcpu *v, struct machine_clock *clock, struct lapic_calls calls)
{
    *l = (struct lapic){.vcpu = v, .clock = clock, .calls = calls};
    reset(l);
    l->svr |= SVR_ENABLE;
    l->lvt[LVT_LINT0] = APIC_EXTINT << 8;
    l->lvt[LVT_LINT1] = APIC_NMI << 8;
}

void lapic_disabled(struct lapic *l)
{
    reset(l);
    l->vcpu->cr8 = 0;
    l->clock->moved = true;
    l->calls.changed(l->calls.ctx);
}

void lapic_attach(struct lapic *l, struct bus *b)
{
    bus_add_mmio(b, &(struct mmio_range){APIC_DEFAULT_ADDR, LAPIC_BYTES, l, lapic_read, lapic_write});
}
