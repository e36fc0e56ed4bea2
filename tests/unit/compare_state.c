// SPDX-License-Identifier: BSD-2-Clause
// Comparing two states: what counts of the vector state and what does not, and that a difference names its place.
#include "run/compare_state.h"

#include "tests/unit/check.h"

static const struct vcpu_state zero;

// x87's pointers, MXCSR_MASK, what is reserved or left to software, and the header.
static bool counts(unsigned at)
{
    bool unused_of_st = at >= 32 && at < 160 && at % 16 >= 10;
    return !((at >= 6 && at < 24) || (at >= 28 && at < 32) || unused_of_st || (at >= 416 && at < 576));
}

static void test_vectors(void)
{
    for (unsigned at = 0; at < sizeof zero.xsave; at++) {
        struct vcpu_state plain = zero, changed;
        struct differences d = {.count = 0};
        plain.xsave[512] = 7;
        changed = plain;
        changed.xsave[at] ^= 0x80;
        state_compare(&plain, &changed, &d);
        CHECK_EQ(d.count, counts(at) ? 1 : 0);
        char name[24];
        snprintf(name, sizeof name, "xsave[%u]", at & ~7u);
        if (d.count)
            CHECK(!strcmp(d.list[0].name, name) && d.list[0].value[1] == 0x80ull << at % 8 * 8);
    }
}

// A component that XSTATE_BV leaves out is in its initial configuration, whatever the area holds; MXCSR counts always.
static void test_components(void)
{
    static const struct {
        unsigned bit, from, to;
    } rows[] = {{1, 32, 42}, {2, 160, 416}, {4, 576, 832}};
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct vcpu_state without = zero, with;
        struct differences d = {.count = 0};
        without.xsave[512] = 7;
        without.xsave[0] = 0x7f, without.xsave[1] = 3;
        with = without;
        without.xsave[512] &= (uint8_t)~rows[i].bit;
        memset(without.xsave + rows[i].from, 0xa5, rows[i].to - rows[i].from);
        if (rows[i].bit == 1)
            memset(without.xsave, 0xa5, 6);
        state_compare(&without, &with, &d);
        CHECK_EQ(d.count, 0);
        with.xsave[rows[i].to - 1] = 1;
        state_compare(&without, &with, &d);
        CHECK_EQ(d.count, 1);
        with.xsave[24] = 1;
        d.count = 0;
        state_compare(&without, &with, &d);
        CHECK_EQ(d.count, 2);
    }
}

static void test_registers(void)
{
    struct vcpu_state changed = zero;
    struct differences d = {.count = 0};
    changed.gpr[R11] = 5;
    changed.cr3 = 0x1000;
    changed.event_vector = 14; // no event is pending: it says nothing
    state_compare(&changed, &zero, &d);
    CHECK_EQ(d.count, 2);
    CHECK_STR(d.list[0].name, "r11");
    CHECK_EQ(d.list[0].value[0], 5);
    CHECK_STR(d.list[1].name, "cr3");
}

int main(void)
{
    test_vectors();
    test_components();
    test_registers();
    return check_done("compare_state");
}
