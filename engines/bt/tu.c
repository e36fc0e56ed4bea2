// SPDX-License-Identifier: BSD-2-Clause
// Reading a translation unit: at most twelve guest instructions, up to a terminating one, within one page (or a single
// instruction across two), and which flags somebody may still read behind each.
#include <string.h>

#include "engines/bt/compat.h"
#include "engines/bt/debug.h"
#include "engines/bt/kinds.h"
#include "engines/bt/memory.h"
#include "engines/bt/segment.h"
#include "engines/bt/translate.h"
#include "engines/bt/vectors.h"

static bool decode(struct bt *bt, const uint8_t *bytes, unsigned n, uint64_t rip, struct insn *in)
{
    return x86_decode_mode(&bt->decoder, code_mode(bt), bytes, n, rip, in);
}

// Flags as Capstone's eflags word has them: what the instruction last decoded reads and surely writes.
#define EACH_WRITE(flag)                                                                                               \
    (X86_EFLAGS_MODIFY_##flag | X86_EFLAGS_RESET_##flag | X86_EFLAGS_SET_##flag | X86_EFLAGS_UNDEFINED_##flag)

static bool writes_all_flags(uint64_t eflags)
{
    return (eflags & EACH_WRITE(CF)) && (eflags & EACH_WRITE(OF)) && (eflags & EACH_WRITE(SF)) &&
           (eflags & EACH_WRITE(ZF)) && (eflags & EACH_WRITE(AF)) && (eflags & EACH_WRITE(PF));
}

// Only the instructions that always write them: no shifts (a count of 0 keeps all), no repeated strings; and none that
// can fault before it writes them, because the fault's frame shows the flags.
static bool kills_flags(const struct insn *in, uint64_t eflags)
{
    switch (in->id) {
    case X86_INS_ADD:
    case X86_INS_SUB:
    case X86_INS_CMP:
    case X86_INS_TEST:
    case X86_INS_AND:
    case X86_INS_OR:
    case X86_INS_XOR:
    case X86_INS_NEG:
        for (unsigned i = 0; i < in->operands; i++)
            if (in->op[i].kind == OPERAND_MEM)
                return false;
        return writes_all_flags(eflags);
    default:
        return false;
    }
}

// Nothing of the flags gets out: neither read nor shown to anybody by a fault or callout.
static bool ignores_flags(const struct insn *in)
{
    switch (in->id) {
    case X86_INS_MOV:
    case X86_INS_MOVABS:
    case X86_INS_MOVZX:
    case X86_INS_MOVSX:
    case X86_INS_MOVSXD:
    case X86_INS_LEA:
    case X86_INS_NOP:
        for (unsigned i = 0; i < in->operands; i++)
            if ((in->op[i].kind == OPERAND_MEM && in->id != X86_INS_LEA) || in->op[i].kind > OPERAND_IMM)
                return false;
        return true;
    default:
        return false;
    }
}

// Backwards: what is written without having been read is dead in front of that, up to where anybody may look.
static void note_liveness(const struct bt *bt, struct tu *tu, const uint64_t *eflags)
{
    bool live = true;
    uint32_t dead = 0;
    for (unsigned i = tu->count; i-- > 0;) {
        struct tu_insn *t = &tu->insn[i];
        const struct insn *in = &t->insn;
        bool kills = kills_flags(in, eflags[i]);
        bool shows = (!kills && !ignores_flags(in)) || breakpoint_at(&bt->breakpoints, tu->rip + t->offset);
        t->flags_live = live;
        t->dead = dead;
        live = shows || (live && !kills);
        dead = shows ? 0 : ((dead & ~registers_used(in)) | registers_overwritten(in)) & ~(1u << RSP);
    }
}

// What the translator cannot take apart does not exist for the guest.
static bool known(struct bt *bt, struct tu_insn *t, const uint8_t *bytes, unsigned n, uint64_t rip, unsigned *length)
{
    struct encoding encoding;
    if (!decode(bt, bytes, n, rip, &t->insn))
        return false;
    *length = t->insn.length;
    if (t->insn.mode != X86_CODE64)
        return compat_read(bt, t, bytes);
    memcpy(t->bytes, bytes, *length);
    t->ends = ends_tu(&t->insn);
    return encoding_of(bytes, &t->insn, &encoding);
}

// Outside 64-bit mode code has a limit, too: rip lies within it, or #GP.
static uint64_t code_address(struct bt *bt, uint64_t rip)
{
    const struct segment *cs = &bt->seg[SEG_CS];
    if (bt->world != WORLD_COMPAT)
        return rip;
    if (rip > cs->limit)
        raise_error(bt, VEC_GP, 0);
    return (uint32_t)(cs->base + rip);
}

static bool read_insn(struct bt *bt, struct tu *tu, const uint8_t *bytes, unsigned left, uint64_t *eflags)
{
    struct tu_insn *t = &tu->insn[tu->count];
    unsigned n = left < X86_MAX_INSN ? left : X86_MAX_INSN;
    t->offset = (uint8_t)tu->bytes;
    unsigned length = 1;
    if (!known(bt, t, bytes, n, tu->rip + tu->bytes, &length)) {
        tu->undefined = true;
        length = x86_encoded_length(code_mode(bt), bytes, left);
        tu->too_long = length > X86_MAX_INSN;
        if (tu->too_long)
            length = X86_MAX_INSN;
        memset(&t->insn, 0, sizeof t->insn);
        t->insn.length = 1;
        t->legacy = false;
        *eflags = 0;
    } else {
        *eflags = bt->decoder.scratch->detail->x86.eflags;
    }
    tu->count++;
    tu->bytes += length;
    if (!tu->undefined && vectors_announced(bt, &t->insn))
        tu->vectors |= vectors_needed(&t->insn);
    return tu->undefined || t->ends || changes_vectors(&t->insn);
}

// Nothing may come between sti and the instruction behind it, so one that fills the TU takes that one in, too.
static bool goes_on(const struct tu *tu, unsigned max)
{
    return max > 1 && tu->count == max && tu->insn[max - 1].insn.id == X86_INS_STI;
}

// Nothing behind the first instruction has a breakpoint.
static bool may_go_on(const struct bt *bt, const struct tu *tu)
{
    return !bt->break_at || !debug_breaks_at(bt, tu->rip + tu->bytes);
}

void tu_read(struct bt *bt, struct tu *tu, unsigned max)
{
    uint64_t eflags[TU_MAX_INSNS + 1];
    memset(tu, 0, sizeof *tu);
    uint64_t at = code_address(bt, bt->rip);
    tu->rip = bt->rip;
    tu->gpa = mem_fetch(bt, at).v;
    tu->second_page = NO_PAGE;
    struct x86_code s = x86_code_at(bt->ram, gpa(tu->gpa));
    bool ended;
    if (x86_encoding_fits(code_mode(bt), s.bytes, s.left)) {
        ended = read_insn(bt, tu, s.bytes, s.left, &eflags[0]);
    } else {
        uint8_t both[X86_MAX_INSN];
        code_address(bt, bt->rip + s.left); // before its page
        gpa_t second = mem_fetch(bt, (at & GUEST_PAGE_MASK) + GUEST_PAGE_SIZE);
        struct x86_code tail = x86_code_at(bt->ram, second);
        memcpy(both, s.bytes, s.left);
        memcpy(both + s.left, tail.bytes, X86_MAX_INSN - s.left);
        tu->second_page = second.v & GUEST_PAGE_MASK;
        read_insn(bt, tu, both, X86_MAX_INSN, &eflags[0]);
        ended = true;
    }
    if (bt->segmented)
        code_address(bt, tu->rip + tu->bytes - 1);
    while (!ended && (tu->count < max || goes_on(tu, max)) && tu->bytes < s.left && may_go_on(bt, tu) &&
           x86_encoding_fits(code_mode(bt), s.bytes + tu->bytes, s.left - tu->bytes))
        ended = read_insn(bt, tu, s.bytes + tu->bytes, s.left - tu->bytes, &eflags[tu->count]);
    note_liveness(bt, tu, eflags);
}
