// SPDX-License-Identifier: BSD-2-Clause
// What is judged: the interpreter, with page tables that show a guest at CPL 3 the addresses that the host has too. A
// single instruction goes the way of the run loop's single step, several that of blocks; what they raise is read from
// cpu->event, not delivered.
#ifndef RINGSIDE_TESTS_CPU_SUBJECT_INTERP_H
#define RINGSIDE_TESTS_CPU_SUBJECT_INTERP_H

#include <stdlib.h>
#include <string.h>

#include "engines/interp/block.h"
#include "engines/interp/flags.h"
#include "engines/interp/mmu.h"
#include "engines/interp/mxcsr.h"
#include "engines/interp/xsave.h"
#include "machine/cpuid.h"
#include "tests/cpu/case.h"

#define SUBJECT_RAM (8u << 20)
#define WINDOW_GPA 0x10000u
#define CODE_GPA 0x20000u

struct subject_guest {
    struct guest_ram ram;
    struct vcpu vcpu;
    struct vcpu_state state; // room for one
    struct cpuid_leaf cpuid[MACHINE_CPUID_LEAVES];
};

static inline void subject_map(struct guest_ram *ram, uint64_t va, uint64_t at, uint64_t bits)
{
    // One table a level is enough: all addresses share their upper bits.
    uint64_t *table[4] = {(void *)(ram->base + 0x1000), (void *)(ram->base + 0x2000), (void *)(ram->base + 0x3000),
                          (void *)(ram->base + 0x4000)};
    for (unsigned level = 0; level < 3; level++)
        table[level][(va >> (39 - 9 * level)) & 511] = (0x2000 + 0x1000 * level) | PTE_P | PTE_W | PTE_U | PTE_A;
    table[3][(va >> 12) & 511] = at | bits | PTE_P | PTE_U | PTE_A;
}

static inline void subject_state(struct vcpu_state *s)
{
    memset(s, 0, sizeof *s);
    s->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_AM;
    s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
    s->xcr0 = FPU_X87;
    s->cr3 = 0x1000;
    s->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    s->seg[SEG_CS] = (struct segment){.selector = 0x33, .limit = ~0u, .attr = SEG_P | SEG_S | SEG_DPL | SEG_L | 0xb};
    s->seg[SEG_SS] = (struct segment){.selector = 0x2b, .limit = ~0u, .attr = SEG_P | SEG_S | SEG_DPL | SEG_DB | 3};
    s->seg[SEG_GS].base = GS_BASE;
    s->rip = INSN_AT;
    s->rflags = FLAG_FIXED1 | FLAG_IF;
}

static inline bool subject_start(struct subject_guest *s, const uint8_t *read_only_page, uint64_t components)
{
    memset(s, 0, sizeof *s);
    s->ram.base = aligned_alloc(PAGE, SUBJECT_RAM);
    s->ram.size = SUBJECT_RAM;
    s->ram.memfd = -1;
    s->vcpu.ram = &s->ram;
    s->vcpu.engine = &engine_interp;
    s->vcpu.cpuid = machine_cpuid(s->cpuid, x86_host_features());
    if (!s->ram.base)
        return false;
    memset(s->ram.base, 0, SUBJECT_RAM);
    for (unsigned i = 0; i < 3; i++)
        subject_map(&s->ram, WINDOW + i * PAGE, WINDOW_GPA + i * PAGE, i < 2 ? PTE_W | PTE_D : 0);
    subject_map(&s->ram, CODE, CODE_GPA, 0);
    memcpy(s->ram.base + WINDOW_GPA + WINDOW_RW, read_only_page, PAGE);
    subject_state(&s->state);
    s->state.xcr0 = components;
    return engine_interp.create(&s->vcpu) == 0 && engine_interp.set_state(&s->vcpu, &s->state) == 0;
}

static inline void subject_stop(struct subject_guest *s)
{
    engine_interp.destroy(&s->vcpu);
    free(s->ram.base);
}

static inline void subject_load_fpu(struct subject_guest *s, const struct test_case *t)
{
    struct cpu *c = s->vcpu.engine_data;
    fpu_to_image(&t->fpu, s->state.xsave, c->xcr0);
    xrstor_all(c, s->state.xsave);
}

static inline void subject_store_fpu(struct subject_guest *s, struct fpu *f)
{
    struct cpu *c = s->vcpu.engine_data;
    engine_interp.get_state(&s->vcpu, &s->state);
    fpu_from_image(f, s->state.xsave, c->xcr0);
}

static inline void subject_load(struct cpu *c, const struct test_case *t)
{
    memcpy(c->gpr, t->in.gpr, sizeof t->in.gpr);
    c->rip = INSN_AT;
    flags_load_arith(c, t->in.flags);
    c->rflags = t->in.flags & ~(uint64_t)(FLAGS_ARITH | FLAG_FIXED1);
    c->event.pending = false;
    c->inhibit = c->inhibit_debug = false;
    if (t->way & WAY_COLD)
        mmu_flush(c);
    c->seg_base[SEG_GS] = GS_BASE; // which a case may change
    c->seg_base[SEG_FS] = 0;
    mmu_mode_changed(c);
}

// A repeated string instruction comes back after every chunk, rip unmoved, and goes on.
static inline void subject_step(struct cpu *c)
{
    uint64_t next = c->rip;
    while (c->rip == next && !c->event.pending) {
        c->stepping = true;
        atomic_store(&c->limit, 0);
        c->block = block_single(c);
        c->icount += c->block->insns;
        const struct op *op = c->block->op;
        do
            op = op->fn(c, op);
        while (INTERP_LOOP && op);
        c->stepping = false;
    }
}

// Blocks from the cache, linked to each other, until the hlt behind the instructions raises #GP.
static inline _Noreturn void subject_blocks(struct cpu *c)
{
    for (;;) {
        atomic_store(&c->limit, UINT64_MAX);
        c->block = block_find(c);
        c->icount += c->block->insns;
        const struct op *op = c->block->op;
        do
            op = op->fn(c, op);
        while (INTERP_LOOP && op);
    }
}

static inline void subject_code(struct subject_guest *s, const struct test_case *t)
{
    uint8_t *code = s->ram.base + CODE_GPA + (INSN_AT - CODE);
    block_invalidate(s->vcpu.engine_data, CODE_GPA, PAGE);
    memset(code, CODE_FILLER, CODE_BYTES);
    memcpy(code, t->bytes, t->length);
    code[t->length] = 0xf4;
}

static inline void subject_run(struct subject_guest *s, const struct test_case *t, struct outcome *out)
{
    struct cpu *c = s->vcpu.engine_data;
    subject_code(s, t);
    subject_load(c, t);
    if (t->vector)
        subject_load_fpu(s, t);
    memset(out, 0, sizeof *out);
    mxcsr_enter(c);
    if (setjmp(c->fault) == 0) {
        if (t->insns > 1)
            subject_blocks(c);
        subject_step(c);
    }
    mxcsr_leave(c);
    if (c->event.vector == VEC_GP && c->rip == INSN_AT + t->length)
        c->event.pending = false;
    memcpy(out->regs.gpr, c->gpr, sizeof out->regs.gpr);
    out->regs.flags = flags_read(c);
    out->rip = c->rip;
    out->vector = c->event.pending ? c->event.vector : -1;
    out->error = c->event.pending && c->event.has_error ? c->event.error : 0;
    out->cr2 = out->vector == VEC_PF ? c->cr2 : 0;
    if (t->vector)
        subject_store_fpu(s, &out->fpu);
}

#endif
