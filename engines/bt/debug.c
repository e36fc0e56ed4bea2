// SPDX-License-Identifier: BSD-2-Clause
// Breakpoints of the debug registers: what is enabled, what matches, and the #DB that follows.
#include "engines/bt/debug.h"

#include "engines/bt/tc.h"
#include "engines/bt/tlb.h"

#define BREAKPOINTS 4

enum { ON_EXECUTION, ON_WRITE, ON_PORT, ON_ACCESS }; // R/W of dr7 (SDM vol. 3, 17.2.4)

static unsigned kind_of(const struct bt *bt, unsigned n)
{
    return bt->dr7 >> (16 + 4 * n) & 3;
}

void debug_changed(struct bt *bt)
{
    bool before = bt->break_at || bt->break_data;
    bt->break_at = bt->break_data = bt->break_port = 0;
    for (unsigned n = 0; n < BREAKPOINTS; n++) {
        if (!(bt->dr7 >> (2 * n) & 3)) // L or G: without hardware tasks they are the same
            continue;
        unsigned kind = kind_of(bt, n);
        if (kind == ON_EXECUTION)
            bt->break_at |= 1u << n;
        else if (kind != ON_PORT)
            bt->break_data |= 1u << n;
        else if (bt->cr4 & CR4_DE) // undefined without: nothing, here
            bt->break_port |= 1u << n;
    }
    if (!before && !bt->break_at && !bt->break_data)
        return;
    tlb_flush(bt->tlb);
    tc_flush(bt);
    bt_mode_changed(bt);
}

// ---- What matches ----

// Addresses are linear: outside 64-bit mode the code segment's base counts.
static unsigned at_instruction(const struct bt *bt, uint64_t rip)
{
    unsigned hits = 0;
    if (bt->world == WORLD_COMPAT)
        rip = (uint32_t)(bt->seg[SEG_CS].base + rip);
    for (unsigned n = 0; n < BREAKPOINTS; n++)
        if (bt->dr[n] == rip)
            hits |= bt->break_at & 1u << n;
    return hits;
}

// Of the breakpoints in `which`, those that have a byte in common with [at, at + size). LEN's low bits of an address
// do not count: they are naturally aligned.
static unsigned overlapping(const struct bt *bt, unsigned which, uint64_t at, uint64_t size)
{
    static const uint8_t lengths[] = {1, 2, 8, 4}; // by LEN
    unsigned hits = 0;
    for (unsigned n = 0; n < BREAKPOINTS; n++) {
        uint64_t length = lengths[bt->dr7 >> (18 + 4 * n) & 3], start = bt->dr[n] & -length;
        if (start - at < size || at - start < length)
            hits |= which & 1u << n;
    }
    return hits;
}

bool debug_breaks_at(const struct bt *bt, uint64_t rip)
{
    return at_instruction(bt, rip);
}

bool debug_watches(const struct bt *bt, uint64_t va, uint64_t size)
{
    return overlapping(bt, bt->break_data, va, size);
}

void debug_note_access(struct bt *bt, uint64_t va, unsigned size, bool write)
{
    unsigned which = 0;
    for (unsigned n = 0; n < BREAKPOINTS; n++)
        if (write || kind_of(bt, n) == ON_ACCESS)
            which |= bt->break_data & 1u << n;
    bt->debug_hits |= (uint8_t)overlapping(bt, which, va, size);
}

void debug_note_port(struct bt *bt, uint16_t port, unsigned size)
{
    bt->debug_hits |= (uint8_t)overlapping(bt, bt->break_port, port, size);
}

// ---- #DB. It sets B0 to B3 anew; what else is in dr6 stays until software clears it (SDM vol. 3, 17.2.3) ----

void debug_raise_at(struct bt *bt)
{
    unsigned hits = bt->rflags & FLAG_RF ? 0 : at_instruction(bt, bt->rip);
    if (!hits)
        return;
    bt->dr6 = (bt->dr6 & ~DR6_B) | hits;
    raise_exception(bt, VEC_DB);
}

void debug_trap(struct bt *bt, bool stepped)
{
    if (bt->inhibit_debug || bt->event.pending || !(stepped || bt->debug_hits))
        return;
    bt->dr6 = (bt->dr6 & ~DR6_B) | bt->debug_hits | (stepped ? DR6_BS : 0);
    bt->debug_hits = 0;
    bt->event = (struct bt_event){.pending = true, .vector = VEC_DB, .type = EVENT_EXCEPTION};
}
