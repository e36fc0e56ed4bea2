// SPDX-License-Identifier: BSD-2-Clause
// What surrounds the interpreter's x87 and MMX instructions: CR0.EM, TS and MP, when #MF comes and what is noted of its
// origin, and the state's way in and out of the engine.
#include "tests/unit/interp_guest.h"

CODE_BYTES(x87_code, "fld1; hlt");
CODE_BYTES(store_code, "fnstcw (%rsp); hlt");
CODE_BYTES(mmx_code, "paddb %mm1, %mm0; hlt");
CODE_BYTES(emms_code, "emms; hlt");
CODE_BYTES(wait_code, "fwait; hlt");

// The vector that code raises at its first byte with these bits of CR0 added; -1: it runs to its hlt.
#define WITH_CR0(name, bits)                                                                                           \
    ({                                                                                                                 \
        START(&g, 0, name);                                                                                            \
        g.s.cr0 |= (bits);                                                                                             \
        int vector_ = guest_vector(&g);                                                                                \
        CHECK(vector_ < 0 || frame(&g, F_RIP) == CODE);                                                                \
        vector_;                                                                                                       \
    })

static void test_cr0(void)
{
    struct guest g = {0};
    CHECK_EQ(WITH_CR0(x87_code, 0), -1);
    CHECK_EQ(WITH_CR0(x87_code, CR0_TS), VEC_NM);
    CHECK_EQ(WITH_CR0(x87_code, CR0_EM), VEC_NM);
    CHECK_EQ(WITH_CR0(x87_code, CR0_MP), -1);
    CHECK_EQ(WITH_CR0(store_code, CR0_TS), VEC_NM); // no waiting instruction, but an x87 one
    CHECK_EQ(WITH_CR0(mmx_code, 0), -1);
    CHECK_EQ(WITH_CR0(mmx_code, CR0_TS), VEC_NM);
    CHECK_EQ(WITH_CR0(mmx_code, CR0_EM), VEC_UD);
    CHECK_EQ(WITH_CR0(mmx_code, CR0_EM | CR0_TS), VEC_UD);
    CHECK_EQ(WITH_CR0(emms_code, CR0_TS), VEC_NM);
    CHECK_EQ(WITH_CR0(emms_code, CR0_EM), VEC_UD);
    CHECK_EQ(WITH_CR0(wait_code, CR0_TS), -1);
    CHECK_EQ(WITH_CR0(wait_code, CR0_MP), -1);
    CHECK_EQ(WITH_CR0(wait_code, CR0_EM), -1);
    CHECK_EQ(WITH_CR0(wait_code, CR0_MP | CR0_TS), VEC_NM);
    guest_free(&g);
}

// Division by zero, unmasked, at CODE + 7, with the divisor at (%rsp); then three instructions that do not wait, and
// one that does, at CODE + 14.
CODE_BYTES(pending_code, "fld1; fldcw 8(%rsp); fdivs (%rsp); fnstsw %ax; .byte 0xdb, 0xe0; fnop; hlt");

static uint64_t image_word(const struct guest *g, unsigned at, unsigned bytes)
{
    uint64_t v = 0;
    memcpy(&v, g->s.xsave + at, bytes);
    return v;
}

static void test_pending(void)
{
    struct guest g = {0};
    START(&g, 0, pending_code);
    put(&g, STACK, 0);
    put(&g, STACK + 8, 0x37b);
    CHECK_EQ(guest_vector(&g), VEC_MF);
    CHECK_EQ(frame(&g, F_RIP), CODE + 13);
    CHECK_EQ(g.s.gpr[RAX] & 0xffff, 0xb884);  // B, ES, ZE; TOP is 7
    CHECK_EQ(image_word(&g, 2, 2), 0xb884);   // and nothing else has happened
    CHECK_EQ(image_word(&g, 6, 2), 0x034);    // FOP: d8 34 24
    CHECK_EQ(image_word(&g, 8, 8), CODE + 6); // FIP
    CHECK_EQ(image_word(&g, 16, 8), STACK);   // FDP
    CHECK_EQ(image_word(&g, 4, 1), 0x80);     // 1 is still on the stack
    CHECK_EQ(image_word(&g, 32 + 8, 2), 0x3fff);
    guest_free(&g);
}

CODE_BYTES(state_code, "movq %mm0, %rax; hlt");

static void test_state(void)
{
    struct guest g = {0};
    START(&g, 0, state_code);
    CHECK_EQ(image_word(&g, 0, 2), 0x37f); // a new vCPU's
    CHECK_EQ(g.s.xsave[512] & 1, 1);
    g.s.xsave[0] = 0x7e, g.s.xsave[1] = 0x0e;
    g.s.xsave[3] = 5 << 3; // TOP: mm0 is st(3)
    g.s.xsave[4] = 0x24;
    memset(g.s.xsave + 32 + 3 * 16, 0xa5, 10);
    CHECK_EQ(guest_vector(&g), -1);
    CHECK_EQ(g.s.gpr[RAX], 0xa5a5a5a5a5a5a5a5);
    CHECK_EQ(image_word(&g, 0, 2), 0xe7e & 0x1f7f);
    CHECK_EQ(image_word(&g, 2, 2), 0);
    CHECK_EQ(image_word(&g, 4, 2), 0xff);
    CHECK_EQ(image_word(&g, 32 + 8, 2), 0xa5a5); // only what is written gets its exponent

    memset(g.s.xsave, 0xff, 160);
    g.s.xsave[512] &= ~1; // x87 in its initial configuration, whatever the image holds
    set_privilege(&g, 0);
    g.s.halted = false;
    CHECK_EQ(guest_vector(&g), -1);
    CHECK_EQ(g.s.gpr[RAX], 0);
    CHECK_EQ(image_word(&g, 0, 2), 0x37f);
    guest_free(&g);
}

CODE_BYTES(restore_code, "frstor (%rsp); hlt");

// Nothing is walked for it: no accessed bits, either.
static void test_alignment(void)
{
    struct guest g = {0};
    START(&g, 3, restore_code);
    g.s.cr0 |= CR0_AM;
    g.s.rflags |= FLAG_AC;
    g.s.gpr[RSP] = 0x800001; // not mapped
    CHECK_EQ(guest_vector(&g), VEC_AC);
    CHECK_EQ(g.s.cr2, 0);
    guest_free(&g);
}

// XSTATE_BV names AVX only where an upper half is not zero: a host without AVX takes the state of a guest without it.
static void test_components(void)
{
    enum { XSTATE_BV = 512, YMM_HIGH = 576 };
    struct guest g = {0};
    START(&g, 0, restore_code);
    CHECK_EQ(image_word(&g, XSTATE_BV, 8), 3);
    g.s.xsave[XSTATE_BV] = 7;
    CHECK(engine_interp.set_state(&g.vcpu, &g.s) == 0 && engine_interp.get_state(&g.vcpu, &g.s) == 0);
    CHECK_EQ(image_word(&g, XSTATE_BV, 8), 3);
    g.s.xsave[XSTATE_BV] = 7;
    g.s.xsave[YMM_HIGH + 16 * 15 + 15] = 0x80;
    CHECK(engine_interp.set_state(&g.vcpu, &g.s) == 0 && engine_interp.get_state(&g.vcpu, &g.s) == 0);
    CHECK_EQ(image_word(&g, XSTATE_BV, 8), 7);
    CHECK_EQ(g.s.xsave[YMM_HIGH + 16 * 15 + 15], 0x80);
    guest_free(&g);
}

int main(void)
{
    test_cr0();
    test_pending();
    test_state();
    test_alignment();
    test_components();
    return check_done("interp_x87_state");
}
