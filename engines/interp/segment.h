// SPDX-License-Identifier: BSD-2-Clause
// Descriptors and segment registers, for everything that loads one: instructions, far transfers, event delivery.
#ifndef RINGSIDE_INTERP_SEGMENT_H
#define RINGSIDE_INTERP_SEGMENT_H

#include "engines/interp/op.h"

// A descriptor in the GDT or LDT. Error codes that name it are the selector without its RPL (SDM vol. 3, 6.13).
struct descriptor {
    uint64_t low;  // its first eight bytes
    uint64_t high; // the other eight of a system descriptor (descriptor_read_system)
    uint64_t at;   // guest-virtual address
    uint16_t selector;
};

// False where the selector lies outside its table, with all `size` bytes (8 or 16).
bool descriptor_find(const struct cpu *c, uint16_t selector, unsigned size, uint64_t *at);
// Raises vector(selector) where it does.
struct descriptor descriptor_read(struct cpu *c, const struct op *op, uint16_t selector, unsigned vector, uint32_t ext);
// The second half of a 16-byte descriptor (SDM vol. 3, 3.5.2); #GP(selector) where it is outside or not well-formed.
void descriptor_read_high(struct cpu *c, const struct op *op, struct descriptor *d);
// Sets type bits in memory: accessed, busy.
void descriptor_mark(struct cpu *c, const struct op *op, const struct descriptor *d, unsigned type_bits);

static inline uint32_t selector_error(uint16_t selector)
{
    return selector & 0xfffcu;
}
static inline bool selector_is_null(uint16_t selector)
{
    return (selector & 0xfffc) == 0;
}
static inline unsigned descriptor_attr(uint64_t low) // as struct segment has it
{
    return (unsigned)((low >> 40) & 0xff) | (unsigned)((low >> 52) & 0xf) << 8;
}
static inline unsigned descriptor_dpl(uint64_t low)
{
    return (descriptor_attr(low) & SEG_DPL) >> SEG_DPL_SHIFT;
}
static inline uint32_t descriptor_base(uint64_t low)
{
    return (uint32_t)(((low >> 16) & 0xffffff) | ((low >> 56) << 24));
}
static inline uint32_t descriptor_limit(uint64_t low)
{
    uint32_t limit = (uint32_t)((low & 0xffff) | ((low >> 32) & 0xf0000));
    return descriptor_attr(low) & SEG_G ? limit << 12 | 0xfff : limit;
}
static inline bool attr_is_code(unsigned attr)
{
    return (attr & SEG_S) && (attr & SEG_TYPE_CODE);
}
static inline bool attr_is_conforming(unsigned attr) // of a code segment
{
    return attr & SEG_TYPE_CONFORMING;
}
static inline bool attr_is_writable_data(unsigned attr)
{
    return (attr & SEG_S) && !(attr & SEG_TYPE_CODE) && (attr & SEG_TYPE_WRITABLE);
}
// Data, or code that may be read: bit 1 of the type is "writable" for the one and "readable" for the other.
static inline bool attr_is_readable(unsigned attr)
{
    return (attr & SEG_S) && (!(attr & SEG_TYPE_CODE) || (attr & SEG_TYPE_WRITABLE));
}

// What a descriptor puts into a segment register's hidden part, and a null selector likewise. FS and GS bases go
// elsewhere (segment_load_data).
struct segment segment_from(const struct descriptor *d);
struct segment segment_null(uint16_t selector, unsigned dpl);

// A flat segment, as syscall and sysret make them up without looking at a table.
struct segment segment_flat(uint16_t selector, unsigned attr);

// Loads ES, DS, FS or GS, with all checks (SDM vol. 2, MOV, "loading a segment register").
void segment_load_data(struct cpu *c, const struct op *op, unsigned seg, uint16_t selector);
// Loads any but CS by instruction; SS with the checks for its privilege.
void segment_load(struct cpu *c, const struct op *op, unsigned seg, uint16_t selector);
// What an instruction that has loaded SS ends with: interrupts and #DB wait for the next instruction, which loads rsp
// (SDM vol. 3, 6.8.3).
const struct op *stack_segment_loaded(struct cpu *c, const struct op *op);
// Checks a selector for SS at privilege cpl, and gives what to load: vector(s) as for a load by instruction. A null
// selector is allowed below CPL 3.
struct segment segment_check_stack(struct cpu *c, const struct op *op, uint16_t selector, unsigned cpl);

// Reads the descriptor of a code segment that control is to go to: not null, within its table, code; else #GP.
struct descriptor code_descriptor(struct cpu *c, const struct op *op, uint16_t selector, uint32_t ext);
// The rest, once privilege is checked: #GP where both L and D are set, #NP where it is not present.
void code_check_mode(struct cpu *c, const struct op *op, const struct descriptor *d);
// #GP(0) where rip cannot be gone to in that segment: not canonical, or beyond its limit.
void code_check_rip(struct cpu *c, const struct op *op, const struct descriptor *d, uint64_t rip);
// Loads CS with RPL = cpl; the descriptor has been marked accessed.
void code_load(struct cpu *c, const struct descriptor *d, unsigned cpl);
// CS has been written, or EFER.LMA: the mode that code is decoded in follows.
void code_changed(struct cpu *c);
// ES, SS, DS, FS or GS has been written, or a base: outside 64-bit mode the windows follow.
void windows_changed(struct cpu *c);
static inline void segments_changed(struct cpu *c)
{
    if (UNLIKELY(c->mode != X86_CODE64))
        windows_changed(c);
}

// Changes the privilege level (the same one is fine), and with it what memory accesses may do. In the last instruction
// of its block only, or between blocks.
void set_cpl(struct cpu *c, unsigned cpl);

// New values for the flags in mask, from f. RF, which nothing here would look at, and VM stay 0.
void flags_load(struct cpu *c, uint64_t f, uint64_t mask);

#endif
