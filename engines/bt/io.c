// SPDX-License-Identifier: BSD-2-Clause
// Port I/O, and the instructions around interrupts and halting (SDM vol. 1, chapter 19; vol. 2 under each name).
#include "engines/bt/cpuid.h"
#include "engines/bt/debug.h"
#include "engines/bt/emulations.h"

// ---- Permission (SDM vol. 1, 19.5.2) ----

#define TSS_IO_MAP_BASE 102

// Two bytes of the bitmap are always read, so both must lie within the TSS.
static bool bitmap_allows(struct bt *bt, uint16_t port, unsigned size)
{
    if (bt->tr.limit < TSS_IO_MAP_BASE + 1)
        return false;
    uint32_t at = (uint32_t)sys_read(bt, bt->tr.base + TSS_IO_MAP_BASE, 2) + port / 8;
    if (at + 1 > bt->tr.limit)
        return false;
    uint64_t bits = sys_read(bt, bt->tr.base + at, 2) >> (port % 8);
    return (bits & ((1u << size) - 1)) == 0;
}

static void check_port(struct bt *bt, uint16_t port, unsigned size)
{
    if (!iopl_allows(bt) && !bitmap_allows(bt, port, size))
        raise_error(bt, VEC_GP, 0);
    if (bt->break_port)
        debug_note_port(bt, port, size);
}

// ---- The bus ----

static void port_exit(struct bt *bt, enum vcpu_exit exit)
{
    count(bt, EV_exits);
    count(bt, exit == VCPU_EXIT_MARK ? EV_exit_mark : exit == VCPU_EXIT_POWER ? EV_exit_shutdown : EV_exit_pio);
    if (exit != VCPU_CONTINUE)
        bt->exit = exit;
}

static uint32_t port_read(struct bt *bt, uint16_t port, unsigned size)
{
    struct vcpu_bus *bus = &bt->vcpu->bus;
    uint32_t value = UINT32_MAX;
    port_exit(bt, bus->pio_read(bus->machine, port, size, &value));
    return value;
}

static void port_write(struct bt *bt, uint16_t port, unsigned size, uint32_t value)
{
    struct vcpu_bus *bus = &bt->vcpu->bus;
    port_exit(bt, bus->pio_write(bus->machine, port, size, value));
}

// ---- IN, OUT ----

// The last opcode bit is the width, 66 halves it; REX.W does nothing (SDM vol. 2, IN).
static unsigned port_size(const struct insn *in)
{
    return in->opcode[0] & 1 ? (in->op_size == 2 ? 2 : 4) : 1;
}

static uint16_t port_of(const struct bt *bt, const struct x86_operand *o)
{
    return o->kind == OPERAND_IMM ? (uint16_t)(o->imm & 0xff) : (uint16_t)bt->gpr[RDX];
}

void emulate_in(struct bt *bt, const struct insn *in)
{
    uint16_t port = port_of(bt, &in->op[1]);
    unsigned size = port_size(in);
    check_port(bt, port, size);
    reg_write(bt, RAX, size, port_read(bt, port, size));
    bt_next(bt, in);
}

void emulate_out(struct bt *bt, const struct insn *in)
{
    uint16_t port = port_of(bt, &in->op[0]);
    unsigned size = port_size(in);
    check_port(bt, port, size);
    port_write(bt, port, size, (uint32_t)reg_read(bt, RAX, size));
    bt_next(bt, in);
}

// ---- INS, OUTS ----

static void ins_step(struct bt *bt, const struct insn *in)
{
    uint16_t port = (uint16_t)bt->gpr[RDX];
    unsigned size = port_size(in);
    check_port(bt, port, size);
    uint64_t va = string_destination(bt, in, size, true);
    mem_probe_write(bt, va, size, false); // the device must not be read in vain
    mem_write(bt, va, size, port_read(bt, port, size), false);
    advance(bt, in, RDI, stride(bt, size));
}

static void outs_step(struct bt *bt, const struct insn *in)
{
    uint16_t port = (uint16_t)bt->gpr[RDX];
    unsigned size = port_size(in);
    check_port(bt, port, size);
    uint64_t va = string_source(bt, in, &in->op[1], size);
    port_write(bt, port, size, (uint32_t)mem_read(bt, va, size, false));
    advance(bt, in, RSI, stride(bt, size));
}

// A fault in one iteration finds the registers as the one before left them, and so does an interrupt.
static void repeat(struct bt *bt, const struct insn *in, emulate_fn *step)
{
    if (!in->rep && !in->repne) {
        step(bt, in);
        bt_next(bt, in);
        return;
    }
    while (index_reg(bt, in, RCX) != 0) {
        step(bt, in);
        advance(bt, in, RCX, -1ull);
        if (index_reg(bt, in, RCX) != 0 && repeat_stops(bt))
            return;
    }
    bt_next(bt, in);
}

void emulate_ins(struct bt *bt, const struct insn *in)
{
    repeat(bt, in, ins_step);
}

void emulate_outs(struct bt *bt, const struct insn *in)
{
    repeat(bt, in, outs_step);
}

// ---- CLI, STI ----

// Below IOPL, with CR4.PVI, VIF stands in for IF (SDM vol. 3, 20.4); sti then needs VIP to be clear.
static void virtual_if(struct bt *bt, bool set)
{
    if (bt->cpl != 3 || !(bt->cr4 & CR4_PVI) || (set && (bt->rflags & FLAG_VIP)))
        raise_error(bt, VEC_GP, 0);
    bt->rflags = set ? bt->rflags | FLAG_VIF : bt->rflags & ~(uint64_t)FLAG_VIF;
}

void emulate_cli(struct bt *bt, const struct insn *in)
{
    if (iopl_allows(bt))
        bt->interrupt_flag = 0;
    else
        virtual_if(bt, false);
    bt_next(bt, in);
}

void emulate_sti(struct bt *bt, const struct insn *in)
{
    if (!iopl_allows(bt)) {
        virtual_if(bt, true);
    } else if (!bt->interrupt_flag) { // interrupts wait for the next instruction
        bt->interrupt_flag = 1;
        bt->inhibit = true;
    }
    bt_next(bt, in);
}

// ---- CLAC, STAC ----

static void set_ac(struct bt *bt, const struct insn *in, bool set)
{
    bool exists = cpuid_has(bt, FEATURE_SMAP) && !in->opsize && !in->rep && !in->repne;
    if (!exists || bt->cpl != 0)
        raise_exception(bt, VEC_UD);
    bt->rflags = set ? bt->rflags | FLAG_AC : bt->rflags & ~(uint64_t)FLAG_AC;
    bt_mode_changed(bt);
    bt_next(bt, in);
}

void emulate_clac(struct bt *bt, const struct insn *in)
{
    set_ac(bt, in, false);
}

void emulate_stac(struct bt *bt, const struct insn *in)
{
    set_ac(bt, in, true);
}

// ---- HLT ----

void emulate_hlt(struct bt *bt, const struct insn *in)
{
    need_cpl0(bt);
    bt->halted = true;
    bt_next(bt, in);
}
