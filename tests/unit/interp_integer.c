// SPDX-License-Identifier: BSD-2-Clause
// What the host's CPU cannot judge from an ordinary process: popf and pushf by privilege, repeated string instructions
// that stop in the middle, and exact instruction counts of both.
#include "tests/cpu/subject_interp.h"
#include "tests/unit/check.h"

static struct subject_guest subject;
static struct vcpu_state state;

static void start(unsigned cpl, uint64_t rflags, const uint8_t *code, unsigned n)
{
    struct cpu *c = subject.vcpu.engine_data;
    subject_state(&state);
    for (unsigned i = SEG_CS; i <= SEG_SS; i++) {
        state.seg[i].selector = (uint16_t)((state.seg[i].selector & ~3u) | cpl);
        state.seg[i].attr = (uint16_t)((state.seg[i].attr & ~SEG_DPL) | cpl << SEG_DPL_SHIFT);
    }
    state.rflags = rflags;
    state.gpr[RSP] = WINDOW + 0x800;
    block_invalidate(c, CODE_GPA, PAGE);
    memcpy(subject.ram.base + CODE_GPA + (INSN_AT - CODE), code, n);
}

static enum vcpu_exit run(uint64_t budget)
{
    CHECK(engine_interp.set_state(&subject.vcpu, &state) == 0);
    enum vcpu_exit exit = engine_interp.run(&subject.vcpu, budget);
    CHECK(engine_interp.get_state(&subject.vcpu, &state) == 0);
    return exit;
}

static uint64_t after_popf(unsigned cpl, uint64_t rflags, uint64_t popped, bool w16)
{
    static const uint8_t popf64[] = {0x9d, 0xf4}, popf16[] = {0x66, 0x9d, 0xf4};
    start(cpl, rflags, w16 ? popf16 : popf64, 2 + w16);
    memcpy(subject.ram.base + WINDOW_GPA + 0x800, &popped, 8);
    CHECK(run(1) == VCPU_EXIT_BUDGET);
    CHECK_EQ(state.rip, INSN_AT + 1 + w16);
    CHECK_EQ(state.gpr[RSP], WINDOW + 0x800 + (w16 ? 2 : 8));
    return state.rflags;
}

// SDM vol. 2, POPF, table 4-16: IOPL changes at CPL 0 only, IF where CPL <= IOPL; VM, VIF, VIP never; RF becomes 0.
static void test_popf(void)
{
    const uint64_t base = FLAG_FIXED1, user_iopl = FLAG_IOPL;
    CHECK_EQ(after_popf(0, base, ~0ull & ~(uint64_t)FLAG_TF, false),
             base | FLAGS_ARITH | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_AC | FLAG_ID);
    CHECK_EQ(after_popf(0, base | FLAG_IF | FLAG_AC | FLAG_IOPL | FLAGS_ARITH, 0, false), base);
    CHECK_EQ(after_popf(0, base | FLAG_AC | FLAG_ID, FLAG_IF, true), base | FLAG_IF | FLAG_AC | FLAG_ID);
    CHECK_EQ(after_popf(3, base | FLAG_IF, FLAG_IOPL | FLAG_CF, false), base | FLAG_IF | FLAG_CF);
    CHECK_EQ(after_popf(3, base | FLAG_IF | user_iopl, FLAG_ZF, false), base | user_iopl | FLAG_ZF);
    CHECK_EQ(after_popf(3, base | user_iopl, FLAG_IF, false), base | user_iopl | FLAG_IF);
}

// Alignment is checked from the instruction behind the popf that sets AC on, at CPL 3 with CR0.AM.
static void test_popf_ac(void)
{
    static const uint8_t code[] = {0x9d, 0x8b, 0x03, 0xf4}; // popf; mov eax, [rbx]
    struct cpu *c = subject.vcpu.engine_data;
    uint64_t popped = FLAG_AC;
    start(3, FLAG_FIXED1, code, sizeof code);
    state.gpr[RBX] = WINDOW + 1;
    memcpy(subject.ram.base + WINDOW_GPA + 0x800, &popped, 8);
    CHECK(engine_interp.set_state(&subject.vcpu, &state) == 0);
    if (setjmp(c->fault) == 0)
        subject_blocks(c);
    CHECK_EQ(c->event.vector, VEC_AC);
    CHECK_EQ(c->rip, INSN_AT + 1);
}

static void test_pushf(void)
{
    static const uint8_t code[] = {0x9c, 0xf4};
    start(0, FLAG_FIXED1 | FLAG_IF | FLAG_RF | FLAG_IOPL | FLAG_CF, code, sizeof code);
    CHECK(run(1) == VCPU_EXIT_BUDGET);
    uint64_t pushed;
    memcpy(&pushed, subject.ram.base + WINDOW_GPA + 0x7f8, 8);
    CHECK_EQ(pushed, FLAG_FIXED1 | FLAG_IF | FLAG_IOPL | FLAG_CF);
}

// Each time the run loop wants its turn a repeated instruction stops between two elements, its registers saying how far
// it is, and is counted only when it is done.
static void test_repeat_stops(const uint8_t *code, unsigned n, uint64_t element)
{
    struct cpu *c = subject.vcpu.engine_data;
    const uint64_t total = WINDOW_RW - 100;
    start(0, FLAG_FIXED1, code, n);
    state.gpr[RCX] = total / element;
    state.gpr[RSI] = state.gpr[RDI] = WINDOW + 100;
    CHECK(engine_interp.set_state(&subject.vcpu, &state) == 0);
    uint64_t before = c->icount;
    unsigned turns = 0;
    while (c->rip == INSN_AT && turns < 10000) {
        CHECK_EQ(c->icount, before);
        c->stepping = true;
        atomic_store(&c->limit, 0);
        c->block = block_single(c);
        c->icount += c->block->insns;
        const struct op *op = c->block->op;
        do
            op = op->fn(c, op);
        while (INTERP_LOOP && op);
        c->stepping = false;
        turns++;
        CHECK_EQ(c->gpr[RDI] - (WINDOW + 100) + c->gpr[RCX] * element, total / element * element);
    }
    CHECK(turns >= 2);
    CHECK_EQ(c->gpr[RCX], 0);
    CHECK_EQ(c->icount, before + 1);
}

static void test_repeat(void)
{
    static const uint8_t movsb[] = {0xf3, 0xa4}, stosq[] = {0xf3, 0x48, 0xab}, scasw[] = {0xf2, 0x66, 0xaf};
    memset(subject.ram.base + WINDOW_GPA, 0x55, WINDOW_RW); // scas finds no 0
    test_repeat_stops(movsb, sizeof movsb, 1);
    test_repeat_stops(scasw, sizeof scasw, 2);
    test_repeat_stops(stosq, sizeof stosq, 8);
    for (unsigned i = 100; i < 100 + (WINDOW_RW - 100) / 8 * 8; i++)
        CHECK(subject.ram.base[WINDOW_GPA + i] == 0);
}

int main(void)
{
    static const uint8_t page[PAGE];
    if (!CHECK(subject_start(&subject, page, FPU_X87 | FPU_SSE)))
        return check_done("interp_integer");
    test_popf();
    test_popf_ac();
    test_pushf();
    test_repeat();
    subject_stop(&subject);
    return check_done("interp_integer");
}
