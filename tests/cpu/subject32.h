// SPDX-License-Identifier: BSD-2-Clause
// What is judged: the interpreter in compatibility mode, with the host's segments in its descriptor tables and the
// host's addresses in its page tables.
#ifndef RINGSIDE_TESTS_CPU_SUBJECT32_H
#define RINGSIDE_TESTS_CPU_SUBJECT32_H

#include "engines/interp/segment.h"
#include "tests/cpu/generate32.h"
#include "tests/cpu/subject_interp.h"

#define TABLES 0x10040000ull // GDT, and half a page on the LDT; the kernel's
#define TABLES_GPA 0x30000u
#define LDT_OFFSET 0x800u

static inline void subject32_tables(struct subject_guest *s)
{
    uint64_t *gdt = (uint64_t *)(s->ram.base + TABLES_GPA), *ldt = gdt + LDT_OFFSET / 8;
    subject_map(&s->ram, TABLES, TABLES_GPA, PTE_W | PTE_D);
    ((uint64_t *)(s->ram.base + 0x4000))[TABLES >> 12 & 511] &= ~(uint64_t)PTE_U;
    gdt[1] =
        0x00cf9b000000ffff; // Linux: kernel's code of 32 bits, of 64, data; user's code of 32 bits, data, code of 64
    gdt[2] = 0x00af9b000000ffff;
    gdt[3] = 0x00cf93000000ffff;
    gdt[4] = 0x00cffb000000ffff;
    gdt[5] = 0x00cff3000000ffff;
    gdt[6] = 0x00affb000000ffff;
    for (unsigned i = 0; i < LDT_USED; i++)
        ldt[i] = ldt_descriptor(i);
}

static inline bool subject32_start(struct subject_guest *s, const uint8_t *read_only_page)
{
    static struct vcpu_state state;
    if (!subject_start(s, read_only_page, FPU_X87))
        return false;
    subject32_tables(s);
    s->vcpu.engine->get_state(&s->vcpu, &state);
    state.gdtr = (struct table_reg){.base = TABLES, .limit = 127};
    state.ldtr =
        (struct segment){.base = TABLES + LDT_OFFSET, .limit = LDT_USED * 8 - 1, .selector = 0x50, .attr = 0x82};
    return engine_interp.set_state(&s->vcpu, &state) == 0;
}

static inline struct segment subject32_segment(struct subject_guest *s, uint16_t selector)
{
    const uint64_t *table = (const uint64_t *)(s->ram.base + TABLES_GPA + (selector & 4 ? LDT_OFFSET : 0));
    struct descriptor d = {.low = table[selector >> 3], .selector = selector};
    return selector_is_null(selector) ? segment_null(selector, 0) : segment_from(&d);
}

static inline void subject32_load(struct subject_guest *s, const struct case32 *k)
{
    struct cpu *c = s->vcpu.engine_data;
    subject_load(c, &k->t);
    c->seg[SEG_CS] = subject32_segment(s, k->cs);
    c->seg[SEG_DS] = subject32_segment(s, k->in.ds);
    c->seg[SEG_ES] = subject32_segment(s, k->in.es);
    c->seg[SEG_SS] = subject32_segment(s, k->in.ss);
    c->seg[SEG_GS] = subject32_segment(s, k->in.gs);
    c->seg[SEG_FS] = segment_null(0, 0);
    c->seg_base[SEG_GS] = c->seg[SEG_GS].base;
    c->seg_base[SEG_FS] = 0;
    code_changed(c);
    c->rip = INSN_AT - segment_base32(k->cs);
}

static inline void subject32_run(struct subject_guest *s, const struct case32 *k, struct outcome *out,
                                 struct selectors *selectors)
{
    struct cpu *c = s->vcpu.engine_data;
    const struct test_case *t = &k->t;
    subject_code(s, t);
    subject32_load(s, k);
    memset(out, 0, sizeof *out);
    if (setjmp(c->fault) == 0) {
        if (k->blocks)
            subject_blocks(c);
        subject_step(c);
    }
    c->rip = (uint32_t)(c->rip + c->code_base);
    if (c->event.vector == VEC_GP && c->rip == INSN_AT + t->length && c->event.error == 0)
        c->event.pending = false;
    memcpy(out->regs.gpr, c->gpr, sizeof out->regs.gpr);
    out->regs.flags = flags_read(c);
    out->rip = c->rip;
    out->vector = c->event.pending ? c->event.vector : -1;
    out->error = c->event.pending && c->event.has_error ? c->event.error : 0;
    out->cr2 = out->vector == VEC_PF ? c->cr2 : 0;
    *selectors = (struct selectors){c->seg[SEG_DS].selector, c->seg[SEG_ES].selector, c->seg[SEG_GS].selector,
                                    c->seg[SEG_SS].selector};
}

#endif
