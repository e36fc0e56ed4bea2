// SPDX-License-Identifier: BSD-2-Clause
// The table of all fields of a CPU's state. An interrupted delivery's details count only where there is one, and the
// hidden part of a segment register only where it is usable.
#include "run/compare_state.h"

#include <stdio.h>
#include <string.h>

#define FIELD(member)                                                                                                  \
    {                                                                                                                  \
#member, offsetof(struct vcpu_state, member), sizeof((struct vcpu_state *)0)->member                           \
    }

static const struct field {
    const char *name;
    size_t offset, size;
} fields[] = {
    FIELD(rip),           FIELD(rflags),        FIELD(gdtr.base),    FIELD(gdtr.limit),
    FIELD(idtr.base),     FIELD(idtr.limit),    FIELD(cr0),          FIELD(cr2),
    FIELD(cr3),           FIELD(cr4),           FIELD(cr8),          FIELD(efer),
    FIELD(dr[0]),         FIELD(dr[1]),         FIELD(dr[2]),        FIELD(dr[3]),
    FIELD(dr6),           FIELD(dr7),           FIELD(xcr0),         FIELD(star),
    FIELD(lstar),         FIELD(cstar),         FIELD(sfmask),       FIELD(kernel_gs_base),
    FIELD(sysenter_cs),   FIELD(sysenter_esp),  FIELD(sysenter_eip), FIELD(pat),
    FIELD(tsc_aux),       FIELD(tsc_offset),    FIELD(apic_base),    FIELD(halted),
    FIELD(sti_shadow),    FIELD(mov_ss_shadow), FIELD(nmi_masked),   FIELD(nmi_pending),
    FIELD(event_pending),
};

static const struct field event_fields[] = {FIELD(event_vector), FIELD(event_type), FIELD(event_has_error),
                                            FIELD(event_error)};

static const char *const gpr_names[GPR_COUNT] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                 "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
static const char *const segment_names[SEG_COUNT] = {"es", "cs", "ss", "ds", "fs", "gs"};

const char *register_name(int number)
{
    return gpr_names[number];
}

int register_number(const char *name)
{
    for (int i = 0; i < GPR_COUNT; i++)
        if (!strcmp(gpr_names[i], name))
            return i;
    return -1;
}

void difference_add(struct differences *d, const char *name, uint64_t a, uint64_t b)
{
    if (a == b || d->count == DIFFERENCES_MAX)
        return;
    struct difference *one = &d->list[d->count++];
    snprintf(one->name, sizeof one->name, "%s", name);
    one->value[0] = a;
    one->value[1] = b;
}

static uint64_t value_of(const struct vcpu_state *s, const struct field *f)
{
    uint64_t value = 0;
    memcpy(&value, (const char *)s + f->offset, f->size);
    return value;
}

static void compare_fields(const struct field *field, size_t count, const struct vcpu_state *a,
                           const struct vcpu_state *b, struct differences *d)
{
    for (size_t i = 0; i < count; i++)
        difference_add(d, field[i].name, value_of(a, &field[i]), value_of(b, &field[i]));
}

static void compare_segment(const char *name, const struct segment *a, const struct segment *b, struct differences *d)
{
    char text[24];
    const struct {
        const char *part;
        uint64_t a, b;
        bool hidden;
    } parts[] = {{"", a->selector, b->selector, false},
                 {".base", a->base, b->base, false},
                 {".unusable", a->unusable, b->unusable, false},
                 {".limit", a->limit, b->limit, true},
                 {".attr", a->attr, b->attr, true}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].hidden && a->unusable && b->unusable)
            continue;
        snprintf(text, sizeof text, "%s%s", name, parts[i].part);
        difference_add(d, text, parts[i].a, parts[i].b);
    }
}

// ---- Vector registers (SDM vol. 1, 10.5.1 and 13.4) ----

enum {
    XSAVE_POINTERS = 6, // x87's last opcode, instruction and operand
    XSAVE_MXCSR = 24,
    XSAVE_MXCSR_MASK = 28,
    XSAVE_ST = 32,
    XSAVE_XMM = 160,
    XSAVE_UNUSED = 416, // to software, and reserved
    XSAVE_HEADER = 512, // XSTATE_BV first
    XSAVE_YMM_HIGH = 576,
    XSAVE_END = 832,
};

static void clear(uint8_t *area, unsigned from, unsigned to)
{
    memset(area + from, 0, to - from);
}

// A copy with what does not count cleared, and a component that is not in XSTATE_BV as that means it to be. x87's
// opcode and pointers are left out: they are those of the last x87 instruction, or of the last that raised an
// exception, as a processor likes, and engines do no better.
static void canonical_vectors(uint8_t *area, const uint8_t *xsave)
{
    static const uint8_t initial_x87[XSAVE_POINTERS] = {0x7f, 0x03};
    uint8_t present = xsave[XSAVE_HEADER];
    memcpy(area, xsave, sizeof((struct vcpu_state *)0)->xsave);
    if (!(present & 1)) {
        memcpy(area, initial_x87, sizeof initial_x87);
        clear(area, XSAVE_ST, XSAVE_XMM);
    }
    if (!(present & 2))
        clear(area, XSAVE_XMM, XSAVE_UNUSED);
    if (!(present & 4))
        clear(area, XSAVE_YMM_HIGH, XSAVE_END);
    clear(area, XSAVE_POINTERS, XSAVE_MXCSR);
    clear(area, XSAVE_MXCSR_MASK, XSAVE_ST);
    clear(area, XSAVE_UNUSED, XSAVE_YMM_HIGH);
    for (unsigned i = 0; i < 8; i++) // of sixteen bytes a register, ten
        clear(area, XSAVE_ST + 16 * i + 10, XSAVE_ST + 16 * i + 16);
}

static void compare_vectors(const struct vcpu_state *a, const struct vcpu_state *b, struct differences *d)
{
    uint8_t left[sizeof a->xsave], right[sizeof b->xsave];
    char name[24];
    if (!memcmp(a->xsave, b->xsave, sizeof a->xsave))
        return;
    canonical_vectors(left, a->xsave);
    canonical_vectors(right, b->xsave);
    for (size_t at = 0; at < sizeof left; at += sizeof(uint64_t)) {
        uint64_t x, y;
        memcpy(&x, left + at, sizeof x);
        memcpy(&y, right + at, sizeof y);
        snprintf(name, sizeof name, "xsave[%zu]", at);
        difference_add(d, name, x, y);
    }
}

void state_compare(const struct vcpu_state *a, const struct vcpu_state *b, struct differences *d)
{
    for (int i = 0; i < GPR_COUNT; i++)
        difference_add(d, gpr_names[i], a->gpr[i], b->gpr[i]);
    compare_fields(fields, sizeof fields / sizeof *fields, a, b, d);
    if (a->event_pending && b->event_pending)
        compare_fields(event_fields, sizeof event_fields / sizeof *event_fields, a, b, d);
    for (int i = 0; i < SEG_COUNT; i++)
        compare_segment(segment_names[i], &a->seg[i], &b->seg[i], d);
    compare_segment("ldtr", &a->ldtr, &b->ldtr, d);
    compare_segment("tr", &a->tr, &b->tr, d);
    compare_vectors(a, b, d);
}
