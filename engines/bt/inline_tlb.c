// SPDX-License-Identifier: BSD-2-Clause
// Memory operands in the checked worlds: the software TLB is looked into by translated code itself. It hits, and the
// instruction runs with the host address in place of its operand; or it leaves for C code, which does what checked.c
// says. Two guest instructions, add %rax, 8(%rdi,%rbx) and mov %eax, 4(%rsp):
//
//     lea 8(%rdi,%rbx), %r14              the guest's address
//     rorx $12, %r14, %r15
//     movzbl %r15b, %r15d                 the slot
//     mov store(,%r15,8), %rcx            its tag (tlb.h): minus a page's address
//     mov addend(,%r15,8), %r15
//     lea 7(%r14,%rcx), %rcx              offset of the last byte in that page, if it lies there
//     shrx %r15, %rcx, %rcx               0, if it does: by 12, the addend's low bits
//     jrcxz .+5
//     jmp miss
//     add %rax, -12(%r14,%r15)
//
//     mov stack_tag(%rip), %rcx           the stack is in one page most of the time
//     lea (%rsp,%rcx), %rcx
//     rorx $3, %rcx, %rcx                 aligned, so that it lies whole in that page; else bits 63 to 61 are set
//     mov stack_addend(%rip), %r15
//     shrx %r15, %rcx, %rcx               by 9
//     jrcxz .+5
//     jmp miss
//     mov %eax, 4-9(%rsp,%r15)
//
// No flag changes: those that the guest has must be in the frame, should this access fault. Hence jrcxz, and rcx.
#include "engines/bt/inline.h"

#include "engines/bt/emulate.h"
#include "engines/bt/kinds.h"
#include "engines/bt/vectors.h"

#define INLINE_MOST 32 // bytes of an operand
#define RCX_BIT (1u << RCX)

// ---- Registers ----

unsigned inline_take(struct translator *t, uint32_t avoid)
{
    static const uint8_t candidates[] = {R15, R14, R13, R12, R11, R10, R9, R8, RBX, RBP, RDI, RSI, RDX, RAX};
    unsigned taken = RAX;
    bool vacant = false;
    for (unsigned i = sizeof candidates; i-- > 0;) {
        unsigned reg = candidates[i];
        if (avoid >> reg & 1 || (vacant && t->parking.in_register >> reg & 1))
            continue;
        taken = reg;
        vacant = !(t->parking.in_register >> reg & 1);
    }
    park_vacate(t, 1u << taken);
    return taken;
}

static uint32_t bits_of(const struct x86_operand *memory)
{
    uint32_t used = memory->mem.base == X86_NO_REG ? 0 : 1u << memory->mem.base;
    return used | (memory->mem.index == X86_NO_REG ? 0 : 1u << memory->mem.index);
}

// ---- Looking up ----

static uint32_t table_of(enum world world)
{
    return BT_TLB + (uint32_t)(world >= WORLD_USER ? offsetof(struct tlb, table[TLB_USER])
                                                   : offsetof(struct tlb, table[TLB_KERNEL]));
}

static uint32_t tags_of(enum world world, bool write)
{
    return table_of(world) + (uint32_t)(write ? offsetof(struct tlb_table, store) : offsetof(struct tlb_table, read));
}

static uint32_t addends_of(enum world world)
{
    return table_of(world) + (uint32_t)offsetof(struct tlb_table, addend);
}

// Goes on behind itself where rcx >> what the addend's low bits say is 0.
static void put_test(struct translator *t, struct lookup *l, unsigned addend)
{
    put_shrx(t->hot, RCX, RCX, addend);
    put_bytes(t->hot, "\xe3\x05", 2); // jrcxz over the jmp
    put_jmp(t->hot, t->hot->at);      // patched by inline_miss
    l->miss = t->hot->at - 4;
    l->parking = t->parking;
}

// An address in one register, but for a displacement, needs no other to be in.
static bool is_in_base(const struct insn *in, const struct x86_operand *o)
{
    int64_t disp = o->mem.disp;
    return o->mem.base != X86_NO_REG && o->mem.base != RCX && o->mem.index == X86_NO_REG && o->mem.seg == X86_NO_SEG &&
           in->addr_size == 8 && disp > INT32_MIN + 128 && disp < INT32_MAX - 128;
}

// The guest's address is base + disp, and in register `sum`; d is free.
static void put_lookup(struct translator *t, unsigned base, int32_t disp, unsigned sum, unsigned d, unsigned size,
                       bool write, struct lookup *l)
{
    put_rorx(t->hot, d, sum, TLB_SHIFT);
    put_movzx(t->hot, d, d, 1);
    put_load_indexed(t->hot, RCX, tags_of(t->bt->world, write), d);
    put_load_indexed(t->hot, d, addends_of(t->bt->world), d);
    put_lea_sum(t->hot, RCX, base, RCX, disp + (int32_t)size - 1);
    put_test(t, l, d);
    l->place = (struct place){.base = (uint8_t)base, .index = (uint8_t)d, .disp = disp - (int32_t)TLB_SHIFT};
    l->free = d;
}

static void look_up_base(struct translator *t, const struct x86_operand *o, unsigned size, bool write, uint32_t avoid,
                         struct lookup *l)
{
    unsigned base = o->mem.base;
    int32_t disp = (int32_t)o->mem.disp;
    park_need(t, 1u << base);
    unsigned d = inline_take(t, avoid | RCX_BIT | 1u << base);
    park_vacate(t, RCX_BIT);
    if (disp)
        put_lea_sum(t->hot, d, base, X86_NO_REG, disp);
    put_lookup(t, base, disp, disp ? d : base, d, size, write, l);
}

static void look_up_general(struct translator *t, const struct x86_operand *o, unsigned size, bool write,
                            uint32_t avoid, struct lookup *l)
{
    park_need(t, bits_of(o)); // whatever is taken next has its value until it is written to
    unsigned a = inline_take(t, avoid | RCX_BIT), d = inline_take(t, avoid | RCX_BIT | 1u << a);
    park_vacate(t, RCX_BIT);
    put_lea_operand(t->hot, a, &t->in->insn, o);
    if (o->mem.seg != X86_NO_SEG) {
        put_load(t->hot, d, &t->bt->seg_base[o->mem.seg]);
        put_lea_sum(t->hot, a, a, d, 0);
    }
    put_lookup(t, a, 0, a, d, size, write, l);
}

// The slot is known already, and so is what is to be added to the tag.
static void look_up_constant(struct translator *t, int32_t va, unsigned size, bool write, uint32_t avoid,
                             struct lookup *l)
{
    uint32_t cell = tlb_slot((uint64_t)(int64_t)va) * 8;
    unsigned d = inline_take(t, avoid | RCX_BIT);
    park_vacate(t, RCX_BIT);
    put_load_indexed(t->hot, RCX, tags_of(t->bt->world, write) + cell, X86_NO_REG);
    put_load_indexed(t->hot, d, addends_of(t->bt->world) + cell, X86_NO_REG);
    put_lea_sum(t->hot, RCX, RCX, X86_NO_REG, va + (int32_t)size - 1);
    put_test(t, l, d);
    l->place = (struct place){.base = (uint8_t)d, .index = X86_NO_REG, .disp = va - (int32_t)TLB_SHIFT};
    l->free = d;
}

void inline_look_at_stack(struct translator *t, unsigned base, int32_t disp, uint32_t avoid, struct lookup *l)
{
    park_need(t, 1u << base);
    unsigned d = inline_take(t, avoid | RCX_BIT | 1u << base);
    park_vacate(t, RCX_BIT);
    l->stack = true;
    l->again = t->hot->at;
    l->base = base;
    l->word = disp & ~7;
    put_load(t->hot, RCX, &t->bt->stack_tag);
    put_lea_sum(t->hot, RCX, base, RCX, l->word);
    put_rorx(t->hot, RCX, RCX, 3);
    put_load(t->hot, d, &t->bt->stack_addend);
    put_test(t, l, d);
    l->place = (struct place){.base = (uint8_t)base, .index = (uint8_t)d, .disp = disp - STACK_SHIFT};
    l->free = d;
    add_point(t, RECOVER_NONE, 0); // tlb.c: an address that is not canonical
}

static bool is_on_stack(const struct insn *in, const struct x86_operand *o, unsigned size)
{
    int64_t disp = o->mem.disp;
    return o->mem.base == RSP && o->mem.index == X86_NO_REG && o->mem.seg == X86_NO_SEG && in->addr_size == 8 &&
           disp > INT32_MIN + 64 && disp < INT32_MAX - 64 && (disp & 7) + size <= 8;
}

static bool is_constant(const struct insn *in, const struct x86_operand *o)
{
    int64_t va = o->mem.disp;
    return o->mem.base == X86_NO_REG && o->mem.index == X86_NO_REG && o->mem.seg == X86_NO_SEG && in->addr_size == 8 &&
           va > INT32_MIN + 128 && va < INT32_MAX - 128;
}

void inline_look_up(struct translator *t, const struct x86_operand *o, unsigned size, bool write, uint32_t avoid,
                    struct lookup *l)
{
    *l = (struct lookup){.stack = false};
    if (is_on_stack(&t->in->insn, o, size))
        inline_look_at_stack(t, RSP, (int32_t)o->mem.disp, avoid, l);
    else if (is_constant(&t->in->insn, o))
        look_up_constant(t, (int32_t)o->mem.disp, size, write, avoid, l);
    else if (is_in_base(&t->in->insn, o))
        look_up_base(t, o, size, write, avoid, l);
    else
        look_up_general(t, o, size, write, avoid, l);
}

// ---- Missing ----

// The stack may be in another page now: asks the TLB, and tries again where that knows the page (put_stack_refill).
static void put_other_page(struct translator *t, const struct lookup *l)
{
    struct code *cold = t->cold;
    put_lea_sum(cold, RCX, l->base, X86_NO_REG, l->word);
    put_store(cold, &t->bt->slot[2], RCX);
    uint8_t *field = cold->at + 3;
    put_lea_cell(cold, RCX, cold->at);
    put_jmp(cold, tc_refill_stub(t->bt->tc, t->bt->world));
    if (!cold->full)
        patch_rel32(field, cold->at);
    put_jmp(cold, l->again);
}

void inline_miss(struct translator *t, const struct lookup *l, struct site *site)
{
    struct parking now = t->parking;
    if (t->hot->full || t->cold->full)
        return;
    patch_rel32(l->miss, t->cold->at);
    if (l->stack)
        put_other_page(t, l);
    t->parking = l->parking;
    park_home_aside(t, t->cold);
    t->parking = now;
    put_leave_inline(t, t->cold, site);
}

void put_stack_refill(struct code *code, struct bt *bt, enum world world)
{
    uint32_t tags = tags_of(world, true);
    put_store(code, &bt->slot[3], RCX);
    put_store(code, &bt->slot[0], R14);
    put_store(code, &bt->slot[1], R15);
    put_load(code, R14, &bt->slot[2]);
    put_rorx(code, R15, R14, TLB_SHIFT);
    put_movzx(code, R15, R15, 1);
    put_load_indexed(code, RCX, tags, R15);
    put_lea_sum(code, RCX, R14, RCX, 0);
    put_rorx(code, RCX, RCX, 3);
    put_mov_reg_imm(code, R14, STACK_SHIFT);
    put_shrx(code, RCX, RCX, R14);
    uint8_t *skip = code->at;
    put_bytes(code, "\xe3\x00", 2); // jrcxz, patched
    put_load(code, R14, &bt->slot[0]);
    put_load(code, R15, &bt->slot[1]);
    put_load(code, RCX, &bt->slot[3]);
    put_lea_sum(code, RCX, RCX, X86_NO_REG, 5); // behind the jmp that tries again
    put_bytes(code, "\xff\xe1", 2);             // jmp *%rcx
    skip[1] = (uint8_t)(code->at - (skip + 2));
    put_load_indexed(code, RCX, tags, R15);
    put_store(code, &bt->stack_tag, RCX);
    put_load_indexed(code, RCX, addends_of(world), R15);
    put_lea_sum(code, RCX, RCX, X86_NO_REG, (int32_t)STACK_SHIFT - (int32_t)TLB_SHIFT);
    put_store(code, &bt->stack_addend, RCX);
    put_load(code, R14, &bt->slot[0]);
    put_load(code, R15, &bt->slot[1]);
    put_jmp_cell(code, &bt->slot[3]);
}

// ---- The instruction ----

// What comes before the instruction fits into ACCESS_BYTES of signal.c.
static void put_with_access(struct translator *t, struct code *code, const struct lookup *l)
{
    const struct place place = {.base = (uint8_t)l->free, .index = X86_NO_REG};
    put_load(code, l->free, &t->bt->access);
    put_with_place(code, t->in->bytes, &t->in->insn, &place);
}

// Where its operand is there: for division, arithmetic or alignment.
static bool may_fault(const struct insn *in)
{
    return in->id == X86_INS_DIV || in->id == X86_INS_IDIV || in->id == X86_INS_CMPXCHG16B || is_vector(kind_of(in));
}

// What happens where the lookup misses: C code leaves the operand's host address in bt->access, the RAM's or a bounce
// buffer's. It may fault there: signal.c knows by the site.
static void put_slow(struct translator *t, const struct lookup *l, unsigned operand, unsigned access)
{
    const struct insn *in = &t->in->insn;
    uint8_t *done = t->hot->at;
    struct site *site = add_site(t, SITE_ACCESS);
    site->insn = *in;
    site->operand = (uint8_t)operand;
    site->reads = access & READS;
    site->writes = access & WRITES;
    inline_miss(t, l, site);
    site->resume = site->special = t->cold->at;
    put_with_access(t, t->cold, l);
    put_jmp(t->cold, done);
    if (!(access & WRITES))
        return;
    if (is_plain_store(in, operand)) { // the callout can carry it out itself
        site->stores = true;
        site->special = done;
        return;
    }
    site->special = t->cold->at;
    put_with_access(t, t->cold, l);
    struct site *commit = add_site(t, SITE_COMMIT);
    commit->insn = *in;
    park_home_aside(t, t->cold);
    put_leave_inline(t, t->cold, commit);
    commit->resume = t->cold->at;
    put_jmp(t->cold, done);
}

// Not where it has a register like ah, beside which there is no r15.
static bool can_be_inline(const struct translator *t, const struct insn *in, unsigned operand)
{
    if (t->single || in->op[operand].size == 0 || in->op[operand].size > INLINE_MOST)
        return false;
    for (unsigned i = 0; i < in->operands; i++)
        if (in->op[i].kind == OPERAND_HIGH8)
            return false;
    return in->id != X86_INS_CLFLUSH && in->id != X86_INS_CLFLUSHOPT && in->id != X86_INS_CLWB;
}

static bool inline_operand(struct translator *t, unsigned operand)
{
    const struct insn *in = &t->in->insn;
    const struct x86_operand *o = &in->op[operand];
    if (!can_be_inline(t, in, operand))
        return false;
    unsigned access = access_of(in, operand);
    uint32_t data = registers_of_data(in), overwritten = registers_overwritten(in);
    struct lookup l;
    t->how = HOW_CHECKED;
    park_need(t, data & ~overwritten & ~RCX_BIT);
    inline_look_up(t, o, o->size, access & WRITES, data, &l);
    park_need(t, data & ~overwritten);
    if (may_fault(in))
        add_point(t, RECOVER_NONE, 0);
    put_with_place(t->hot, t->in->bytes, in, &l.place);
    park_changed(t, registers_changed(in));
    put_slow(t, &l, operand, access);
    return true;
}

static bool inline_plain(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    for (unsigned i = 0; i < in->operands; i++)
        if (in->op[i].kind == OPERAND_MEM)
            return inline_operand(t, i);
    park_need(t, registers_used(in) & ~registers_overwritten(in));
    if (is_vector(kind_of(in)))
        add_point(t, RECOVER_NONE, 0);
    put_ident(t->hot, t->in->bytes, in);
    park_changed(t, registers_changed(in));
    t->how = HOW_IDENT;
    return true;
}

static bool inline_vector(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    bool masked = plain_emulation(in) && in->id != X86_INS_WAIT;
    return vector_can_run(t) && !masked && !vectors_left_to_c(t->bt, in) && inline_plain(t);
}

static bool inline_lea(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    park_need(t, registers_used(in) & ~registers_overwritten(in));
    put_lea(t->hot, t->in->bytes, in, t->bt->world);
    park_changed(t, registers_changed(in));
    return true;
}

// loop counts in rcx, which is at home in its cell: it gets its new value there beforehand.
static bool inline_jrcxz(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    bool counts = in->id == X86_INS_LOOP || in->id == X86_INS_LOOPE || in->id == X86_INS_LOOPNE;
    park_settle(t);
    if (counts) {
        put_lea_sum(t->hot, R15, RCX, X86_NO_REG, -1);
        if (in->addr_size == 4)
            put_bytes(t->hot, "\x45\x89\xff", 3); // mov %r15d, %r15d
        put_store(t->hot, &t->bt->parked[RCX], R15);
    }
    return translate_jrcxz(t);
}

bool inline_insn(struct translator *t, bool *falls)
{
    const struct insn *in = &t->in->insn;
    *falls = true;
    if (is_vector(kind_of(in)))
        return inline_vector(t);
    switch (kind_of(in)) {
    case KIND_IDENT:
        return inline_plain(t);
    case KIND_BITMEM: // with a register offset, the bit may lie far from the operand
        return !(in->op[0].kind == OPERAND_MEM && in->op[1].kind == OPERAND_GPR) && inline_plain(t);
    case KIND_LEA:
        return inline_lea(t);
    case KIND_NOP:
        return true;
    case KIND_STACK:
        return !t->single && inline_push_pop(t);
    case KIND_LEAVE:
        return !t->single && inline_leave(t);
    case KIND_CALL:
        *falls = false;
        return !t->single && inline_call(t);
    case KIND_RET:
        *falls = false;
        return !t->single && inline_ret(t);
    case KIND_JMP:
        *falls = false;
        return inline_jmp(t);
    case KIND_JCC:
        park_home(t);
        translate_jcc(t);
        return true;
    case KIND_JRCXZ:
        *falls = inline_jrcxz(t);
        return true;
    default:
        return false;
    }
}
