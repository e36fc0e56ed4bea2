// SPDX-License-Identifier: BSD-2-Clause
// Descriptors and segment registers, for everything that loads one: instructions, far transfers, event delivery.
#ifndef RINGSIDE_BT_SEGMENT_H
#define RINGSIDE_BT_SEGMENT_H

#include "engines/bt/bt.h"

// ---- Descriptors in the GDT or LDT ----
struct descriptor {
    uint64_t low;  // first eight bytes
    uint64_t high; // the other eight of a system descriptor
    uint64_t at;   // guest-virtual address
    uint16_t selector;
};

// False where the selector lies outside its table, with all `size` bytes (8 or 16).
bool descriptor_find(const struct bt *bt, uint16_t selector, unsigned size, uint64_t *at);
// The first half; outside its table: vector(selector | ext).
struct descriptor descriptor_read(struct bt *bt, uint16_t selector, unsigned vector, uint32_t ext);
// The second half of a 16-byte descriptor (SDM vol. 3, 3.5.2); #GP(selector) where it is outside or not well-formed.
void descriptor_read_high(struct bt *bt, struct descriptor *d);
// Sets type bits in memory: accessed, busy.
void descriptor_mark(struct bt *bt, const struct descriptor *d, unsigned type_bits);

static inline uint32_t selector_error(uint16_t selector) // error code that names it (SDM vol. 3, 6.13)
{
    return selector & 0xfffcu;
}
static inline bool selector_is_null(uint16_t selector)
{
    return selector_error(selector) == 0;
}
static inline unsigned descriptor_attr(const struct descriptor *d) // as struct segment has it
{
    return (unsigned)(d->low >> 40 & 0xff) | (unsigned)(d->low >> 52 & 0xf) << 8;
}
static inline unsigned attr_dpl(unsigned attr)
{
    return (attr & SEG_DPL) >> SEG_DPL_SHIFT;
}
static inline bool attr_is_code(unsigned attr)
{
    return (attr & SEG_S) && (attr & SEG_TYPE_CODE);
}
static inline bool attr_is_conforming(unsigned attr) // conforming code
{
    return attr_is_code(attr) && (attr & SEG_TYPE_CONFORMING);
}
static inline bool attr_is_writable(unsigned attr) // writable data
{
    return (attr & SEG_S) && !(attr & SEG_TYPE_CODE) && (attr & SEG_TYPE_WRITABLE);
}
// Data, or code that may be read: bit 1 of the type is "writable" for the one and "readable" for the other.
static inline bool attr_is_readable(unsigned attr)
{
    return (attr & SEG_S) && (!(attr & SEG_TYPE_CODE) || (attr & SEG_TYPE_WRITABLE));
}
uint32_t descriptor_base(const struct descriptor *d); // lower half
uint32_t descriptor_limit(const struct descriptor *d);
uint64_t gate_offset(const struct descriptor *d);
static inline uint16_t gate_selector(const struct descriptor *d)
{
    return (uint16_t)(d->low >> 16);
}

// ---- Segment registers ----
// What a descriptor puts into a segment register's hidden part, and a null selector likewise.
struct segment segment_from(const struct descriptor *d);
struct segment segment_null(uint16_t selector, unsigned dpl);

// Loads ES, DS, FS or GS, with all checks (SDM vol. 2, MOV, "loading a segment register").
void segment_load_data(struct bt *bt, unsigned seg, uint16_t selector);
// Checks a selector for SS at privilege cpl, and gives what to load. A null selector is allowed below CPL 3.
struct segment segment_check_stack(struct bt *bt, uint16_t selector, unsigned cpl);

// The descriptor of a code segment that control is to go to: not null, within its table, code; else #GP.
struct descriptor code_descriptor(struct bt *bt, uint16_t selector, uint32_t ext);
// The rest, once privilege is checked: #GP where both L and D are set, #NP where it is not present.
void code_check_mode(struct bt *bt, const struct descriptor *d);
// Loads CS with RPL = cpl, marks the descriptor accessed.
void code_load(struct bt *bt, const struct descriptor *d, unsigned cpl);

// ---- Outside 64-bit mode ----
enum x86_mode code_mode(const struct bt *bt); // by CS (SDM vol. 3, 3.4.5); EFER.LMA is always set
// Do base and limit of CS, SS, DS and ES say nothing, and is it 32-bit code and stack?
bool segments_are_flat(const struct bt *bt);
// Linear address of [offset, offset + size) in a segment, or what its limit and type raise (SDM vol. 3, 5.3, 5.5).
uint64_t segment_linear(struct bt *bt, unsigned seg, uint64_t offset, unsigned size, bool write);
// #GP(0) where rip cannot be gone to in this code segment: beyond its limit; in a 64-bit one, not canonical.
void code_check_rip(struct bt *bt, const struct descriptor *d, uint64_t rip);

// Changes the privilege level (the same one is fine), and with it the world.
void set_cpl(struct bt *bt, unsigned cpl);
// New values for the flags in mask, from f. RF and VM stay 0. AC may have changed: bt_mode_changed() is the caller's.
void flags_load(struct bt *bt, uint64_t f, uint64_t mask);

#endif
