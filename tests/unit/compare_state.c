// SPDX-License-Identifier: BSD-2-Clause
// Comparing two states: every byte of the vector state counts but x87's pointers, and a difference names its place.
#include "run/compare_state.h"

#include "tests/unit/check.h"

static const struct vcpu_state zero;

static void test_vectors(void)
{
    for (unsigned at = 0; at < sizeof zero.xsave; at++) {
        struct vcpu_state changed = zero;
        struct differences d = {.count = 0};
        changed.xsave[at] = 0x80;
        state_compare(&zero, &changed, &d);
        bool pointers = at >= 6 && at < 24;
        CHECK_EQ(d.count, pointers ? 0 : 1);
        char name[24];
        snprintf(name, sizeof name, "xsave[%u]", at & ~7u);
        if (d.count)
            CHECK(!strcmp(d.list[0].name, name) && d.list[0].value[1] == 0x80ull << at % 8 * 8);
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
    test_registers();
    return check_done("compare_state");
}
