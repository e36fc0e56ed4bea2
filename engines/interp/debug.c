// SPDX-License-Identifier: BSD-2-Clause
// Breakpoints of the debug registers: what is enabled, what matches, and the #DB that follows.
#include "engines/interp/debug.h"

#include "engines/interp/block.h"
#include "engines/interp/fault.h"
#include "engines/interp/mmu.h"
#include "engines/interp/window.h"

#define BREAKPOINTS 4

enum { ON_EXECUTION, ON_WRITE, ON_PORT, ON_ACCESS }; // R/W of dr7 (SDM vol. 3, 17.2.4)

static unsigned kind_of(const struct cpu *c, unsigned n)
{
    return c->dr7 >> (16 + 4 * n) & 3;
}

// Bytes: 1, 2, 8 or 4, as LEN says.
static unsigned length_of(const struct cpu *c, unsigned n)
{
    static const uint8_t lengths[] = {1, 2, 8, 4};
    return lengths[c->dr7 >> (18 + 4 * n) & 3];
}

static bool is_enabled(const struct cpu *c, unsigned n) // L or G: without hardware tasks they are the same
{
    return c->dr7 >> (2 * n) & 3;
}

void debug_changed(struct cpu *c)
{
    bool before = c->break_at || c->break_data;
    c->break_at = c->break_data = c->break_port = 0;
    for (unsigned n = 0; n < BREAKPOINTS; n++) {
        if (!is_enabled(c, n))
            continue;
        unsigned kind = kind_of(c, n);
        c->break_at |= (kind == ON_EXECUTION) << n;
        c->break_data |= (kind == ON_WRITE || kind == ON_ACCESS) << n;
        c->break_port |= (kind == ON_PORT && (c->cr4 & CR4_DE)) << n; // undefined without DE: nothing, here
    }
    if (!before && !c->break_at && !c->break_data)
        return;
    mmu_flush(c);
    block_flush(c);
}

// ---- What matches ----

static unsigned at_instruction(const struct cpu *c, uint64_t rip)
{
    unsigned hits = 0;
    for (unsigned n = 0; n < BREAKPOINTS; n++)
        hits |= ((c->break_at >> n & 1) && c->dr[n] == code_linear(c, rip)) << n;
    return hits;
}

// Of the breakpoints in `which`, those that have a byte in common with [at, at + size). LEN's low bits of an address
// do not count: they are naturally aligned.
static unsigned overlapping(const struct cpu *c, unsigned which, uint64_t at, uint64_t size)
{
    unsigned hits = 0;
    for (unsigned n = 0; n < BREAKPOINTS; n++) {
        unsigned length = length_of(c, n);
        uint64_t start = c->dr[n] & -(uint64_t)length;
        hits |= ((which >> n & 1) && (start - at < size || at - start < length)) << n;
    }
    return hits;
}

bool debug_breaks_at(const struct cpu *c, uint64_t rip)
{
    return at_instruction(c, rip);
}

bool debug_watches(const struct cpu *c, uint64_t va, uint64_t size)
{
    return overlapping(c, c->break_data, va, size);
}

static void note(struct cpu *c, unsigned hits)
{
    if (!hits)
        return;
    c->debug_hits |= (uint8_t)hits;
    atomic_store_explicit(&c->limit, 0, memory_order_relaxed);
}

void debug_note_access(struct cpu *c, uint64_t va, unsigned size, bool write)
{
    unsigned which = 0;
    for (unsigned n = 0; n < BREAKPOINTS; n++)
        which |= (kind_of(c, n) == ON_ACCESS || write) << n;
    note(c, overlapping(c, c->break_data & which, va, size));
}

void debug_note_port(struct cpu *c, uint16_t port, unsigned size)
{
    note(c, overlapping(c, c->break_port, port, size));
}

// ---- #DB. It sets B0 to B3 anew; what else is in dr6 stays until software clears it (SDM vol. 3, 17.2.3) ----

void debug_raise_at(struct cpu *c)
{
    unsigned hits = c->rflags & FLAG_RF ? 0 : at_instruction(c, c->rip);
    if (!hits)
        return;
    c->dr6 = (c->dr6 & ~DR6_B) | hits;
    raise_exception(c, NULL, VEC_DB);
}

void debug_trap(struct cpu *c, bool stepped)
{
    if (c->inhibit_debug || c->event.pending || !(stepped || c->debug_hits))
        return;
    c->dr6 = (c->dr6 & ~DR6_B) | c->debug_hits | (stepped ? DR6_BS : 0);
    c->debug_hits = 0;
    c->event = (struct cpu_event){.pending = true, .vector = VEC_DB, .type = EVENT_EXCEPTION};
}
