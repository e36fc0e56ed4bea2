// SPDX-License-Identifier: BSD-2-Clause
// Privileged and sensitive instructions within the translation cache, where that is short: a few of the guest's virtual
// registers change places or get a store, and the guest's flags and registers stay as they are. So these sequences use
// only what keeps the flags: mov, lea, jrcxz, and pext, pdep and rorx of BMI2. Whatever they do not cover goes to the
// callout, which is also what --bt-emulate=callout makes of all of them.
#include "engines/bt/cpuid.h"
#include "engines/bt/emulate.h"
#include "engines/bt/translator.h"

// Goes on behind itself where rcx is 0, else to the stub with rcx reloaded; flags kept.
static void put_unless_zero(struct translator *t, const uint8_t *stub)
{
    put_bytes(t->hot, "\xe3\x0c", 2); // jrcxz over the next two, 7 + 5 bytes
    put_load(t->hot, RCX, &t->bt->slot[2]);
    put_jmp(t->hot, stub);
}

// The stub of a callout that does the instruction at hand where its short form in the translation cache cannot.
static uint8_t *fallback(struct translator *t, struct site **site)
{
    *site = add_site(t, SITE_EMULATE);
    (*site)->event = EV_callout_privileged;
    (*site)->insn = t->in->insn;
    (*site)->emulate = system_emulation(&t->in->insn);
    return tc_stub(t->bt->tc, *site);
}

// mov %reg, %cr8: a byte store, where no reserved bit is set and the local APIC has set no threshold. Both cells are in
// struct vcpu, which may lie anywhere.
static bool translate_cr8_write(struct translator *t)
{
    struct bt *bt = t->bt;
    unsigned reg = t->in->insn.op[1].reg, address = reg == RCX ? RDX : RCX;
    struct site *site;
    if (!within_tc(t) || reg == RSP)
        return put_privileged(t, system_emulation(&t->in->insn));
    uint8_t *stub = fallback(t, &site);
    put_store(t->hot, &bt->slot[2], RCX);
    // pext cr8_reserved(%rip), %reg, %rcx: 0 if none of these bits is set; like mov it keeps the flags
    put_on_cell(t->hot, (uint8_t[]){0xc4, 0xe2, (uint8_t)(0x82 | (~reg & 15) << 3), 0xf5, 0x0d}, 5, &bt->cr8_reserved);
    put_unless_zero(t, stub);
    put_mov_reg_imm(t->hot, RCX, (uintptr_t)&bt->vcpu->tpr_threshold);
    put_bytes(t->hot, "\x0f\xb6\x09", 3); // movzbl (%rcx), %ecx
    put_unless_zero(t, stub);
    if (reg == RCX) {
        put_load(t->hot, RCX, &bt->slot[2]);
        put_store(t->hot, &bt->slot[2], RDX);
    }
    put_mov_reg_imm(t->hot, address, (uintptr_t)&bt->vcpu->cr8);
    put_bytes(t->hot, (uint8_t[]){0x40 | (uint8_t)(reg >> 3 << 2), 0x88, (uint8_t)((reg & 7) << 3 | address)},
              3); // movb
    put_load(t->hot, address, &bt->slot[2]);
    site->resume = t->hot->at;
    return true;
}

// sti: a byte store, where no interrupt waits for it.
bool translate_sti(struct translator *t)
{
    struct bt *bt = t->bt;
    // The instruction behind it must come before any interrupt: inside a CCF nothing gets between the two.
    bool last = t->in == &t->tu->insn[t->tu->count - 1];
    if (!within_tc(t) || last)
        return put_privileged(t, system_emulation(&t->in->insn));
    struct site *site;
    uint8_t *stub = fallback(t, &site);
    put_store(t->hot, &bt->slot[2], RCX);
    put_on_cell(t->hot, "\x0f\xb6\x0d", 3, &bt->interrupt_waits); // movzbl
    put_unless_zero(t, stub);
    put_load(t->hot, RCX, &bt->slot[2]);
    put_store_imm(t->hot, &bt->interrupt_flag, 1, 1);
    site->resume = t->hot->at;
    return true;
}

bool translate_cli(struct translator *t)
{
    if (!within_tc(t))
        return put_privileged(t, system_emulation(&t->in->insn));
    put_store_imm(t->hot, &t->bt->interrupt_flag, 1, 0);
    return true;
}

// The host's own, while the guest's time is the host's.
bool translate_rdtsc(struct translator *t)
{
    if (!within_tc(t) || t->bt->tsc_offset)
        return put_privileged(t, system_emulation(&t->in->insn));
    put_ident(t->hot, t->in->bytes, &t->in->insn);
    return true;
}

// swapgs: two cells change places.
static bool translate_swapgs(struct translator *t)
{
    struct bt *bt = t->bt;
    put_store(t->hot, &bt->slot[2], RCX);
    put_store(t->hot, &bt->slot[3], RDX);
    put_load(t->hot, RCX, &bt->seg_base[SEG_GS]);
    put_load(t->hot, RDX, &bt->kernel_gs_base);
    put_store(t->hot, &bt->kernel_gs_base, RCX);
    put_store(t->hot, &bt->seg_base[SEG_GS], RDX);
    put_load(t->hot, RCX, &bt->slot[2]);
    put_load(t->hot, RDX, &bt->slot[3]);
    return true;
}

// pushfq: the host's, which can only fault before anything has changed; then the bits that are the guest's own in the
// host's register (bt->host_flags) are kept, and those that live in *bt are added: they are disjoint, so lea can do it.
bool translate_pushf(struct translator *t)
{
    struct bt *bt = t->bt;
    if (!within_tc(t) || wants_check(t) || bt->world != WORLD_FAST || t->in->insn.opsize)
        return put_callout(t, plain_emulation(&t->in->insn));
    put_ident(t->hot, t->in->bytes, &t->in->insn);
    put_store(t->hot, &bt->slot[2], RCX);
    put_store(t->hot, &bt->slot[3], RDX);
    put_bytes(t->hot, "\x48\x8b\x0c\x24", 4);                        // mov (%rsp), %rcx
    put_on_cell(t->hot, "\xc4\xe2\xf2\xf5\x0d", 5, &bt->host_flags); // pext host_flags(%rip), %rcx, %rcx
    put_on_cell(t->hot, "\xc4\xe2\xf3\xf5\x0d", 5, &bt->host_flags); // pdep host_flags(%rip), %rcx, %rcx
    put_load(t->hot, RDX, &bt->rflags);
    put_lea_sum(t->hot, RCX, RCX, RDX, FLAG_FIXED1);
    put_on_cell(t->hot, "\x0f\xb6\x15", 3, &bt->interrupt_flag); // movzbl interrupt_flag(%rip), %edx
    put_bytes(t->hot, "\xc4\xe3\xfb\xf0\xd2\x37", 6);            // rorx $55, %rdx, %rdx: to bit 9
    put_lea_sum(t->hot, RCX, RCX, RDX, 0);
    put_bytes(t->hot, "\x48\x89\x0c\x24", 4); // mov %rcx, (%rsp)
    put_load(t->hot, RCX, &bt->slot[2]);
    put_load(t->hot, RDX, &bt->slot[3]);
    return true;
}

// mov from a control register that is a cell of *bt: a load.
static bool translate_cr_read(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    const struct bt *bt = t->bt;
    const uint64_t *const cells[] = {&bt->cr0, NULL, &bt->cr2, &bt->cr3, &bt->cr4};
    unsigned cr = in->op[1].reg, reg = in->op[0].reg;
    if (!within_tc(t) || in->lock || reg == RSP || cr >= sizeof cells / sizeof *cells || !cells[cr])
        return put_privileged(t, system_emulation(in));
    put_load(t->hot, reg, cells[cr]);
    return true;
}

// stac and clac: the bit is taken out of rflags, and added. What it changes is looked at by C code only: at CPL 0 the
// fast world has no user pages.
static bool translate_ac(struct translator *t)
{
    struct bt *bt = t->bt;
    const struct insn *in = &t->in->insn;
    if (!within_tc(t) || !cpuid_has(bt, FEATURE_SMAP) || in->opsize || in->rep || in->repne || in->lock)
        return put_privileged(t, system_emulation(in));
    put_store(t->hot, &bt->slot[2], RCX);
    put_load(t->hot, RCX, &bt->rflags);
    put_on_cell(t->hot, "\xc4\xe2\xf2\xf5\x0d", 5, &bt->not_ac); // pext not_ac(%rip), %rcx, %rcx
    put_on_cell(t->hot, "\xc4\xe2\xf3\xf5\x0d", 5, &bt->not_ac); // pdep not_ac(%rip), %rcx, %rcx
    if (in->id == X86_INS_STAC)
        put_lea_sum(t->hot, RCX, RCX, X86_NO_REG, FLAG_AC);
    put_store(t->hot, &bt->rflags, RCX);
    put_load(t->hot, RCX, &bt->slot[2]);
    return true;
}

bool translate_system(struct translator *t)
{
    const struct insn *in = &t->in->insn;
    if (in->id == X86_INS_MOV && in->op[0].kind == OPERAND_CR && in->op[0].reg == 8)
        return translate_cr8_write(t);
    if (in->id == X86_INS_MOV && in->op[1].kind == OPERAND_CR)
        return translate_cr_read(t);
    if (in->id == X86_INS_SWAPGS && within_tc(t))
        return translate_swapgs(t);
    if (in->id == X86_INS_STAC || in->id == X86_INS_CLAC)
        return translate_ac(t);
    return put_privileged(t, system_emulation(in));
}
