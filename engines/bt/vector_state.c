// SPDX-License-Identifier: BSD-2-Clause
// Saving and loading vector state, in C (SDM vol. 1, 10.5, 13.6 to 13.9; vol. 2 under each name): it is in bt->xsave
// while C code runs, so that most of this is copying. A guest that switches between its programs uses nothing else, and
// nothing becomes live by it.
#include <string.h>

#include "engines/bt/cpuid.h"
#include "engines/bt/emulations.h"
#include "engines/bt/vectors.h"

enum { FXSAVE_BYTES = 416 }; // that it writes, of 512
enum { ALIGN_FXSAVE = 16, ALIGN_XSAVE = 64, ALIGN_CHECKED = 4 };

static uint32_t get32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static uint64_t *present(struct bt *bt) // components that are not in their initial state
{
    return (uint64_t *)(void *)(bt->xsave + XSAVE_HEADER);
}

// Before anything about the operand's pages, as on Intel's processors (SDM vol. 3, table 6-2, leaves #AC and #PF open).
static uint64_t checked_address(struct bt *bt, const struct insn *in, unsigned alignment)
{
    uint64_t va = effective_address(bt, in, &in->op[0]);
    if (!canonical(va))
        raise_error(bt, in->stack_segment ? VEC_SS : VEC_GP, 0);
    if (va % alignment && mem_checks_alignment(bt))
        raise_error(bt, VEC_AC, 0);
    return va;
}

// Operands of these are aligned; where alignment is checked anyway, of doublewords first.
static uint64_t aligned_address(struct bt *bt, const struct insn *in, unsigned alignment)
{
    uint64_t va = checked_address(bt, in, ALIGN_CHECKED);
    if (va % alignment)
        raise_error(bt, VEC_GP, 0);
    return va;
}

// ---- What fits into the image and the guest's formats differ in ----

// With REX.W the two pointers are 64-bit addresses, else 32-bit ones and selectors (SDM vol. 1, 10.5.1.1), which are 0.
static void narrow_pointers(const struct insn *in, uint8_t *image)
{
    if (in->rex_w)
        return;
    memset(image + XSAVE_FIP + 4, 0, 4);
    memset(image + XSAVE_FDP + 4, 0, 4);
}

static void check_mxcsr(struct bt *bt, const uint8_t *image)
{
    if (get32(image + XSAVE_MXCSR) & ~MXCSR_ALL)
        raise_error(bt, VEC_GP, 0);
}

static void load_x87(struct bt *bt, const struct insn *in, uint8_t *image)
{
    narrow_pointers(in, image);
    memcpy(bt->xsave, image, XSAVE_MXCSR);
    memcpy(bt->xsave + XSAVE_ST, image + XSAVE_ST, XSAVE_XMM - XSAVE_ST);
    present(bt)[0] |= XSTATE_X87;
    vectors_settle_x87(bt);
}

// ---- FXSAVE, FXRSTOR ----

static void need_x87(struct bt *bt)
{
    vectors_home(bt);
    if (!cpuid_has(bt, FEATURE_FXSR))
        raise_exception(bt, VEC_UD);
    if (!(bt->vectors & VECTORS_X87)) // CR0.EM or TS
        raise_exception(bt, VEC_NM);
}

enum { FXSAVE_WHOLE = 512 };

// Processors look at the last byte of an image first, so that a fault is there.
static void look_to_write(struct bt *bt, const struct insn *in, uint64_t va)
{
    uint8_t byte;
    mem_read_rmw_block(bt, va, &byte, 1, in->stack_segment);
}
static void look_to_read(struct bt *bt, const struct insn *in, uint64_t va)
{
    uint8_t byte;
    mem_read_block(bt, va, &byte, 1, in->stack_segment);
}

void emulate_fxsave(struct bt *bt, const struct insn *in)
{
    uint8_t image[FXSAVE_BYTES];
    need_x87(bt);
    uint64_t va = aligned_address(bt, in, ALIGN_FXSAVE);
    look_to_write(bt, in, va + FXSAVE_WHOLE - 1);
    memcpy(image, vectors_image(bt), sizeof image);
    narrow_pointers(in, image);
    mem_write_block(bt, va, image, sizeof image, in->stack_segment);
    bt_next(bt, in);
}

void emulate_fxrstor(struct bt *bt, const struct insn *in)
{
    uint8_t image[XSAVE_LEGACY];
    need_x87(bt);
    uint64_t va = aligned_address(bt, in, ALIGN_FXSAVE);
    look_to_read(bt, in, va + FXSAVE_WHOLE - 1);
    mem_read_block(bt, va, image, sizeof image, in->stack_segment);
    check_mxcsr(bt, image);
    load_x87(bt, in, image);
    memcpy(bt->xsave + XSAVE_MXCSR, image + XSAVE_MXCSR, 4);
    memcpy(bt->xsave + XSAVE_XMM, image + XSAVE_XMM, FXSAVE_BYTES - XSAVE_XMM);
    present(bt)[0] |= XSTATE_SSE;
    bt_next(bt, in);
}

// ---- XSAVE, XSAVEOPT, XRSTOR ----

static uint64_t xsave_components(struct bt *bt, uint64_t feature)
{
    vectors_home(bt);
    if (!cpuid_has(bt, feature) || !(bt->cr4 & CR4_OSXSAVE))
        raise_exception(bt, VEC_UD);
    if (bt->cr0 & CR0_TS)
        raise_exception(bt, VEC_NM);
    return (bt->gpr[RDX] << 32 | (uint32_t)bt->gpr[RAX]) & bt->xcr0;
}

static bool any(const uint8_t *from, unsigned bytes) // a multiple of 4
{
    uint64_t all = 0, eight;
    for (; bytes >= sizeof eight; from += sizeof eight, bytes -= (unsigned)sizeof eight) {
        memcpy(&eight, from, sizeof eight);
        all |= eight;
    }
    return all || (bytes && get32(from));
}

// XINUSE, by what is there (SDM vol. 1, 13.6).
static uint64_t in_use(const uint8_t *image)
{
    bool x87 = get32(image) != FCW_RESET || any(image + XSAVE_FTW, XSAVE_MXCSR - XSAVE_FTW) ||
               any(image + XSAVE_ST, XSAVE_XMM - XSAVE_ST);
    bool sse = any(image + XSAVE_XMM, FXSAVE_BYTES - XSAVE_XMM) || get32(image + XSAVE_MXCSR) != MXCSR_RESET;
    bool avx = any(image + XSAVE_YMM, XSAVE_BYTES - XSAVE_YMM);
    return (x87 ? XSTATE_X87 : 0u) | (sse ? XSTATE_SSE : 0u) | (avx ? XSTATE_AVX : 0u);
}

// Parts of the image, and the components that any of which takes them along.
static const struct piece {
    uint16_t components, at, bytes;
} pieces[] = {
    {XSTATE_X87, XSAVE_FCW, XSAVE_MXCSR - XSAVE_FCW}, {XSTATE_SSE | XSTATE_AVX, XSAVE_MXCSR, XSAVE_ST - XSAVE_MXCSR},
    {XSTATE_X87, XSAVE_ST, XSAVE_XMM - XSAVE_ST},     {XSTATE_SSE, XSAVE_XMM, FXSAVE_BYTES - XSAVE_XMM},
    {XSTATE_AVX, XSAVE_YMM, XSAVE_BYTES - XSAVE_YMM},
};
#define PIECES (sizeof pieces / sizeof pieces[0])

// optimized: components in their initial state need not be written.
static void save(struct bt *bt, const struct insn *in, bool optimized)
{
    uint64_t asked = xsave_components(bt, optimized ? FEATURE_XSAVEOPT : FEATURE_XSAVE), header;
    uint64_t va = aligned_address(bt, in, ALIGN_XSAVE);
    uint8_t image[XSAVE_BYTES];
    look_to_write(bt, in, va + (asked & XSTATE_AVX ? XSAVE_BYTES : XSAVE_YMM) - 1);
    look_to_write(bt, in, va); // that makes two pages, and there are no more
    mem_read_rmw_block(bt, va + XSAVE_HEADER, &header, sizeof header, in->stack_segment);
    memcpy(image, vectors_image(bt), sizeof image);
    narrow_pointers(in, image);
    uint64_t used = in_use(image) & asked;
    header = (header & ~asked) | used;
    for (unsigned i = 0; i < PIECES; i++) {
        bool mxcsr = pieces[i].at == XSAVE_MXCSR;
        if (pieces[i].components & (optimized && !mxcsr ? used : asked))
            mem_write_block(bt, va + pieces[i].at, image + pieces[i].at, pieces[i].bytes, in->stack_segment);
    }
    mem_write_block(bt, va + XSAVE_HEADER, &header, sizeof header, in->stack_segment);
    bt_next(bt, in);
}

void emulate_xsave(struct bt *bt, const struct insn *in)
{
    save(bt, in, false);
}

void emulate_xsaveopt(struct bt *bt, const struct insn *in)
{
    save(bt, in, true);
}

// In standard form: no compaction, nothing reserved, no component that XCR0 has not (SDM vol. 1, 13.8.1).
static uint64_t read_header(struct bt *bt, const struct insn *in, uint64_t va)
{
    uint64_t header[8];
    mem_read_block(bt, va + XSAVE_HEADER, header, sizeof header, in->stack_segment);
    if (header[0] & ~bt->xcr0 || header[1] || header[2])
        raise_error(bt, VEC_GP, 0);
    return header[0];
}

void emulate_xrstor(struct bt *bt, const struct insn *in)
{
    uint64_t asked = xsave_components(bt, FEATURE_XSAVE);
    uint64_t va = aligned_address(bt, in, ALIGN_XSAVE);
    uint8_t image[XSAVE_BYTES];
    look_to_read(bt, in, va + XSAVE_HEADER + 8);
    look_to_read(bt, in, va + (asked & XSTATE_AVX ? XSAVE_BYTES : XSAVE_YMM) - 1);
    look_to_read(bt, in, va);
    if (asked & (XSTATE_SSE | XSTATE_AVX)) // before the header is looked at
        mem_read_block(bt, va + XSAVE_MXCSR, image + XSAVE_MXCSR, 4, in->stack_segment);
    uint64_t loaded = asked & read_header(bt, in, va);
    for (unsigned i = 0; i < PIECES; i++)
        if (pieces[i].components & (pieces[i].at == XSAVE_MXCSR ? asked : loaded))
            mem_read_block(bt, va + pieces[i].at, image + pieces[i].at, pieces[i].bytes, in->stack_segment);
    if (asked & (XSTATE_SSE | XSTATE_AVX))
        check_mxcsr(bt, image);
    present(bt)[0] &= ~asked;
    if (loaded & XSTATE_X87)
        load_x87(bt, in, image);
    if (asked & (XSTATE_SSE | XSTATE_AVX))
        memcpy(bt->xsave + XSAVE_MXCSR, image + XSAVE_MXCSR, 4);
    if (loaded & XSTATE_SSE)
        memcpy(bt->xsave + XSAVE_XMM, image + XSAVE_XMM, FXSAVE_BYTES - XSAVE_XMM);
    if (loaded & XSTATE_AVX)
        memcpy(bt->xsave + XSAVE_YMM, image + XSAVE_YMM, XSAVE_BYTES - XSAVE_YMM);
    present(bt)[0] |= loaded;
    bt_next(bt, in);
}

// ---- XCR0 (SDM vol. 2, XGETBV, XSETBV; vol. 3, 2.6) ----

static void need_osxsave(struct bt *bt)
{
    if (!(bt->cr4 & CR4_OSXSAVE))
        raise_exception(bt, VEC_UD);
}

void emulate_xgetbv(struct bt *bt, const struct insn *in)
{
    need_osxsave(bt);
    if ((uint32_t)bt->gpr[RCX] != 0)
        raise_error(bt, VEC_GP, 0);
    bt->gpr[RAX] = (uint32_t)bt->xcr0;
    bt->gpr[RDX] = bt->xcr0 >> 32;
    bt_next(bt, in);
}

void emulate_xsetbv(struct bt *bt, const struct insn *in)
{
    need_osxsave(bt);
    need_cpl0(bt);
    uint64_t v = bt->gpr[RDX] << 32 | (uint32_t)bt->gpr[RAX];
    uint64_t known = XSTATE_X87 | XSTATE_SSE | (cpuid_has(bt, FEATURE_AVX) ? XSTATE_AVX : 0);
    bool valid = v & XSTATE_X87 && !(v & ~known) && (!(v & XSTATE_AVX) || v & XSTATE_SSE);
    if ((uint32_t)bt->gpr[RCX] != 0 || !valid)
        raise_error(bt, VEC_GP, 0);
    bt->xcr0 = v;
    vectors_mode_changed(bt);
    bt_next(bt, in);
}

// ---- MXCSR, where the host's has bits that the guest's has not ----

void emulate_ldmxcsr(struct bt *bt, const struct insn *in)
{
    vectors_home(bt);
    if (vectors_of(in) & ~bt->vectors)
        vectors_refuse(bt, in);
    uint32_t v = (uint32_t)operand_read(bt, in, &in->op[0], 4);
    if (v & ~MXCSR_ALL)
        raise_error(bt, VEC_GP, 0);
    memcpy(bt->xsave + XSAVE_MXCSR, &v, sizeof v);
    bt_next(bt, in);
}

// ---- x87: by the host's own instruction on the guest's registers, which are loaded for just that ----

enum { ENV_16 = 14, ENV_32 = 28, STATE_BYTES = 108 };

// REX.W makes it an operand size of 64 bits, whatever 66 says: the same format as with 32.
static bool has_16_bits(const struct insn *in)
{
    return in->opsize && !in->rex_w;
}

static void run_x87(struct bt *bt, const struct insn *in, uint8_t *memory)
{
    const uint32_t all = XSTATE_X87, none = 0;
    __asm__ volatile("xrstor64 (%0)" : : "r"(bt->xsave), "a"(all), "d"(none) : "memory");
    switch (in->id) {
    case X86_INS_FNSTENV:
        if (has_16_bits(in))
            __asm__ volatile("data16 fnstenv (%0)" : : "r"(memory) : "memory");
        else
            __asm__ volatile("fnstenv (%0)" : : "r"(memory) : "memory");
        break;
    case X86_INS_FNSAVE:
        if (has_16_bits(in))
            __asm__ volatile("data16 fnsave (%0)" : : "r"(memory) : "memory");
        else
            __asm__ volatile("fnsave (%0)" : : "r"(memory) : "memory");
        break;
    case X86_INS_FLDENV:
        if (has_16_bits(in))
            __asm__ volatile("data16 fldenv (%0)" : : "r"(memory) : "memory");
        else
            __asm__ volatile("fldenv (%0)" : : "r"(memory) : "memory");
        break;
    default: // frstor
        if (has_16_bits(in))
            __asm__ volatile("data16 frstor (%0)" : : "r"(memory) : "memory");
        else
            __asm__ volatile("frstor (%0)" : : "r"(memory) : "memory");
    }
    __asm__ volatile("xsave64 (%0); fninit" : : "r"(bt->xsave), "a"(all), "d"(none) : "memory");
}

// Both formats as in protected mode (SDM vol. 1, 8.1.10), with addresses of the guest or 0, and no selectors.
static void write_pointers(const struct insn *in, const uint8_t *image, uint8_t *environment)
{
    uint16_t opcode;
    memcpy(&opcode, image + XSAVE_FOP, sizeof opcode);
    if (has_16_bits(in)) {
        memset(environment + 6, 0, ENV_16 - 6);
        memcpy(environment + 6, image + XSAVE_FIP, 2);
        memcpy(environment + 10, image + XSAVE_FDP, 2);
        return;
    }
    memset(environment + 12, 0, 14); // but for two bytes that are reserved
    memcpy(environment + 12, image + XSAVE_FIP, 4);
    memcpy(environment + 18, &opcode, 2);
    memcpy(environment + 20, image + XSAVE_FDP, 4);
}

void emulate_x87_environment(struct bt *bt, const struct insn *in)
{
    uint8_t memory[STATE_BYTES], pointers[XSAVE_MXCSR];
    const struct x86_operand *o = &in->op[0];
    bool stores = in->id == X86_INS_FNSTENV || in->id == X86_INS_FNSAVE;
    if (!cpuid_has(bt, FEATURE_FPU))
        raise_exception(bt, VEC_UD);
    if (!(bt->vectors & VECTORS_X87))
        raise_exception(bt, VEC_NM);
    vectors_home(bt);
    if (!stores && vectors_pending(bt))
        raise_exception(bt, VEC_MF);
    uint64_t va = checked_address(bt, in, has_16_bits(in) ? 2 : 4);
    if (stores) {
        mem_probe_write(bt, va, o->size, in->stack_segment);
        memcpy(pointers, vectors_image(bt), sizeof pointers);
    } else {
        mem_read_block(bt, va, memory, o->size, in->stack_segment);
        vectors_image(bt);
    }
    run_x87(bt, in, memory);
    if (stores) {
        write_pointers(in, pointers, memory);
        mem_write_block(bt, va, memory, o->size, in->stack_segment);
    }
    vectors_settle_x87(bt);
    bt_next(bt, in);
}

// ---- x87 stores ----

static void store_on_host(const struct insn *in, uint8_t *memory)
{
    unsigned size = in->op[0].size;
    bool integer = in->id != X86_INS_FST && in->id != X86_INS_FSTP;
    if (in->id == X86_INS_FBSTP)
        __asm__ volatile("fbstp (%0)" : : "r"(memory) : "memory");
    else if (in->id == X86_INS_FISTTP && size == 2)
        __asm__ volatile("fisttps (%0)" : : "r"(memory) : "memory");
    else if (in->id == X86_INS_FISTTP && size == 4)
        __asm__ volatile("fisttpl (%0)" : : "r"(memory) : "memory");
    else if (in->id == X86_INS_FISTTP)
        __asm__ volatile("fisttpll (%0)" : : "r"(memory) : "memory");
    else if (integer && size == 2)
        __asm__ volatile("fistps (%0)" : : "r"(memory) : "memory");
    else if (integer && size == 4)
        __asm__ volatile("fistpl (%0)" : : "r"(memory) : "memory");
    else if (integer)
        __asm__ volatile("fistpll (%0)" : : "r"(memory) : "memory");
    else if (size == 4)
        __asm__ volatile("fstps (%0)" : : "r"(memory) : "memory");
    else if (size == 8)
        __asm__ volatile("fstpl (%0)" : : "r"(memory) : "memory");
    else
        __asm__ volatile("fstpt (%0)" : : "r"(memory) : "memory");
}

bool vectors_store_fails(struct bt *bt, const struct insn *in)
{
    const uint32_t all = XSTATE_X87, none = 0;
    uint8_t memory[16], old[XSAVE_HEADER + 64];
    unsigned unmasked = ~get32(bt->xsave) & FSW_NO_STORE;
    if (!unmasked)
        return false;
    memcpy(old, bt->xsave, sizeof old);
    __asm__ volatile("xrstor64 (%0)" : : "r"(bt->xsave), "a"(all), "d"(none) : "memory");
    store_on_host(in, memory);
    __asm__ volatile("xsave64 (%0); fninit" : : "r"(bt->xsave), "a"(all), "d"(none) : "memory");
    bool fails = get32(bt->xsave) >> 16 & unmasked;
    if (!fails)
        memcpy(bt->xsave, old, sizeof old);
    return fails;
}

// wait where CR0 does not let x87 instructions run: only MP and TS together concern it (SDM vol. 3, 2.5).
void emulate_wait(struct bt *bt, const struct insn *in)
{
    if (bt->cr0 & CR0_MP && bt->cr0 & CR0_TS)
        raise_exception(bt, VEC_NM);
    vectors_home(bt);
    if (vectors_pending(bt))
        raise_exception(bt, VEC_MF);
    bt_next(bt, in);
}
