// SPDX-License-Identifier: BSD-2-Clause
// Port I/O, and the instructions around interrupts and halting (SDM vol. 1, chapter 19; vol. 2 under each name).
#include "engines/interp/bus.h"
#include "engines/interp/cpuid.h"
#include "engines/interp/debug.h"
#include "engines/interp/fault.h"
#include "engines/interp/insn_args.h"
#include "engines/interp/lower.h"
#include "engines/interp/mmu.h"
#include "engines/interp/window.h"

static void need_cpl0(struct cpu *c, const struct op *op)
{
    if (c->cpl != 0)
        raise_error(c, op, VEC_GP, 0);
}

static bool iopl_allows(const struct cpu *c)
{
    return c->cpl <= (c->rflags & FLAG_IOPL) >> 12;
}

// ---- Permission (SDM vol. 1, 19.5.2) ----

#define TSS_IO_MAP_BASE 102

// Two bytes of the bitmap are always read, so both must lie within the TSS.
static bool bitmap_allows(struct cpu *c, const struct op *op, uint16_t port, unsigned size)
{
    if (c->tr.limit < TSS_IO_MAP_BASE + 1)
        return false;
    uint32_t at = (uint32_t)sys_read(c, op, c->tr.base + TSS_IO_MAP_BASE, 2) + port / 8;
    if (at + 1 > c->tr.limit)
        return false;
    uint64_t bits = sys_read(c, op, c->tr.base + at, 2) >> (port % 8);
    return (bits & ((1u << size) - 1)) == 0;
}

static inline void check_port(struct cpu *c, const struct op *op, uint16_t port, unsigned size)
{
    if (UNLIKELY(!iopl_allows(c)) && !bitmap_allows(c, op, port, size))
        raise_error(c, op, VEC_GP, 0);
    if (UNLIKELY(c->break_port))
        debug_note_port(c, port, size);
}

static bool run_loop_wanted(const struct cpu *c)
{
    return c->exit != VCPU_CONTINUE || atomic_load_explicit(&c->limit, memory_order_relaxed) == 0;
}

// ---- IN, OUT ----

static uint16_t port_of(const struct cpu *c, const struct op *op) // imm: the port, or PORT_DX
{
    return op->imm == PORT_DX ? get16(c, RDX) : (uint16_t)op->imm;
}

static void set_accumulator(struct cpu *c, unsigned size, uint32_t v)
{
    if (size == 1)
        set8(c, RAX * 8, v);
    else if (size == 2)
        set16(c, RAX, v);
    else
        set32(c, RAX, v);
}

static HANDLER(op_in) // aux: size
{
    uint16_t port = port_of(c, op);
    check_port(c, op, port, op->aux);
    set_accumulator(c, op->aux, bus_port_read(c, port, op->aux));
    if (UNLIKELY(run_loop_wanted(c)))
        return leave(c, op, op_next_rip(c, op));
    NEXT;
}

static HANDLER(op_out)
{
    uint16_t port = port_of(c, op);
    check_port(c, op, port, op->aux);
    bus_port_write(c, port, op->aux, get32(c, RAX) & (uint32_t)(UINT64_MAX >> (64 - 8 * op->aux)));
    if (UNLIKELY(run_loop_wanted(c)))
        return leave(c, op, op_next_rip(c, op));
    NEXT;
}

// The last opcode bit is the width, 66 halves it; REX.W does nothing (SDM vol. 2, IN).
static uint8_t port_size(const struct insn *in)
{
    bool narrow = in->opsize != (in->mode == X86_CODE16);
    return in->opcode[0] & 1 ? (narrow ? 2 : 4) : 1;
}

static bool lower_in_out(struct lower *l, const struct insn *in, op_fn *fn, const struct x86_operand *port)
{
    struct op *op = emit(l, fn);
    op->imm = port->kind == OPERAND_IMM ? (int32_t)(port->imm & 0xff) : PORT_DX;
    op->aux = port_size(in);
    return true;
}

// ---- INS, OUTS ----

// What one step adds to an index register.
static uint64_t stride(const struct cpu *c, unsigned size)
{
    return c->rflags & FLAG_DF ? -(uint64_t)size : size;
}

// Index and count registers at address size 2, 4 or 8.
static uint64_t address_reg(const struct cpu *c, const struct op *op, unsigned reg)
{
    return op->disp == 2 ? get16(c, reg) : op->disp == 4 ? get32(c, reg) : get64(c, reg);
}

// Where an element at that offset lies.
static uint64_t element(struct cpu *c, const struct op *op, unsigned seg, uint64_t offset, bool write)
{
    if (c->mode != X86_CODE64)
        return seg_linear(c, op, seg, (uint32_t)offset, op->aux, write);
    return offset + (write ? 0 : c->seg_base[seg]);
}

static void set_address_reg(struct cpu *c, const struct op *op, unsigned reg, uint64_t v)
{
    if (op->disp == 2)
        set16(c, reg, v);
    else if (op->disp == 4)
        set32(c, reg, v);
    else
        set64(c, reg, v);
}

static void ins_step(struct cpu *c, const struct op *op)
{
    uint16_t port = get16(c, RDX);
    uint64_t rdi = address_reg(c, op, RDI);
    check_port(c, op, port, op->aux);
    uint64_t va = element(c, op, SEG_ES, rdi, true);
    mem_probe_write(c, op, va, op->aux); // the device must not be read in vain
    uint32_t v = bus_port_read(c, port, op->aux);
    if (op->aux == 1)
        store8(c, op, va, v);
    else if (op->aux == 2)
        store16(c, op, va, v);
    else
        store32(c, op, va, v);
    set_address_reg(c, op, RDI, rdi + stride(c, op->aux));
}

static void outs_step(struct cpu *c, const struct op *op)
{
    uint16_t port = get16(c, RDX);
    uint64_t rsi = address_reg(c, op, RSI);
    check_port(c, op, port, op->aux);
    uint64_t va = element(c, op, op->seg, rsi, false);
    uint32_t v = op->aux == 1 ? load8(c, op, va) : op->aux == 2 ? load16(c, op, va) : load32(c, op, va);
    bus_port_write(c, port, op->aux, v);
    set_address_reg(c, op, RSI, rsi + stride(c, op->aux));
}

// aux: size; disp: address size; imm: PORT_OUT or PORT_IN
static void string_step(struct cpu *c, const struct op *op)
{
    if (op->imm == PORT_OUT)
        outs_step(c, op);
    else
        ins_step(c, op);
}

static HANDLER(op_port_string)
{
    string_step(c, op);
    if (run_loop_wanted(c))
        return leave(c, op, op_next_rip(c, op));
    NEXT;
}

// A fault in one iteration finds the registers as the one before left them, and so does an interrupt.
static HANDLER(op_port_string_rep)
{
    for (uint64_t n; (n = address_reg(c, op, RCX)) != 0;) {
        string_step(c, op);
        set_address_reg(c, op, RCX, n - 1);
        if (run_loop_wanted(c))
            return n == 1 ? leave(c, op, op_next_rip(c, op)) : leave_unfinished(c, op);
    }
    NEXT;
}

static bool lower_port_string(struct lower *l, const struct insn *in, bool out)
{
    struct op *op = emit(l, in->rep || in->repne ? op_port_string_rep : op_port_string);
    op->imm = out ? PORT_OUT : PORT_IN;
    op->aux = port_size(in);
    op->disp = in->addr_size;
    op->seg = out ? in->op[1].mem.seg : X86_NO_SEG;
    return true;
}

bool lower_io(struct lower *l, const struct insn *in, unsigned arg)
{
    switch (arg) {
    case PORT_IN:
        return lower_in_out(l, in, op_in, &in->op[1]);
    case PORT_OUT:
        return lower_in_out(l, in, op_out, &in->op[0]);
    default:
        return lower_port_string(l, in, arg == PORT_OUTS);
    }
}

// ---- CLI, STI ----

// Below IOPL, with CR4.PVI, VIF stands in for IF (SDM vol. 3, 20.4); sti then needs VIP to be clear.
static bool virtual_if(struct cpu *c, bool set)
{
    if (c->cpl != 3 || !(c->cr4 & CR4_PVI) || (set && (c->rflags & FLAG_VIP)))
        return false;
    c->rflags = set ? c->rflags | FLAG_VIF : c->rflags & ~(uint64_t)FLAG_VIF;
    return true;
}

static HANDLER(op_cli)
{
    if (LIKELY(iopl_allows(c)))
        c->rflags &= ~(uint64_t)FLAG_IF;
    else if (!virtual_if(c, false))
        raise_error(c, op, VEC_GP, 0);
    NEXT;
}

// Interrupts wait for the instruction after sti. Within a block they do so anyway, because the run loop looks only
// between blocks; it must be told where one is waiting already, and where the next instruction is in another block.
static HANDLER(op_sti)
{
    if (UNLIKELY(!iopl_allows(c))) {
        if (!virtual_if(c, true))
            raise_error(c, op, VEC_GP, 0);
        NEXT;
    }
    if (c->rflags & FLAG_IF)
        NEXT;
    c->rflags |= FLAG_IF;
    bool last = op[1].len == 0; // what closes a block is no instruction
    if (UNLIKELY(last || c->intr)) {
        c->inhibit = true;
        return leave(c, op, op_next_rip(c, op));
    }
    NEXT;
}

bool lower_if_flag(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    emit(l, arg == FLAG_SET ? op_sti : op_cli);
    return true;
}

// ---- CLAC, STAC ----

static HANDLER(op_set_ac) // aux: FLAG_SET or FLAG_CLEAR
{
    if (c->cpl != 0)
        raise_exception(c, op, VEC_UD);
    c->rflags = op->aux == FLAG_SET ? c->rflags | FLAG_AC : c->rflags & ~(uint64_t)FLAG_AC;
    mmu_mode_changed(c);
    NEXT;
}

bool lower_ac_flag(struct lower *l, const struct insn *in, unsigned arg)
{
    if (!cpuid_has(l->c, FEATURE_SMAP) || in->opsize || in->rep || in->repne)
        return false;
    emit(l, op_set_ac)->aux = (uint8_t)arg;
    return true;
}

// ---- HLT, WBINVD, INVD ----

static HANDLER(op_hlt)
{
    need_cpl0(c, op);
    c->halted = true;
    return leave(c, op, op_next_rip(c, op));
}

bool lower_hlt(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    (void)arg;
    emit(l, op_hlt);
    l->ends = true;
    return true;
}

// Nothing to write back: guest RAM is the host's memory.
static HANDLER(op_wbinvd)
{
    need_cpl0(c, op);
    NEXT;
}

bool lower_wbinvd(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    (void)arg;
    emit(l, op_wbinvd);
    return true;
}
