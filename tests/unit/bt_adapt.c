// SPDX-License-Identifier: BSD-2-Clause
// Adaptation and its way back, as the counters show it: one store that meets a device, then RAM for a while, and so on.
#include "engines/bt/guilt.h"
#include "tests/unit/bt_guest.h"
#include "tests/unit/bt_possible.h"

// mov %eax, (%rdi); add %rsi, %rdi; dec %ecx; jnz; hlt
static const uint8_t code[] = {0x89, 0x07, 0x48, 0x01, 0xf7, 0xff, 0xc9, 0x75, 0xf7, 0xf4};

// The loop stores `times` times, the first time to `at`, each time `step` further.
static void run(struct guest *g, uint64_t at, uint64_t step, uint64_t times)
{
    struct vcpu_state s;
    begin_at(g, CODE, &s);
    s.gpr[RAX] = 7;
    s.gpr[RCX] = times;
    s.gpr[RDI] = at;
    s.gpr[RSI] = step;
    CHECK_EQ(engine_bt.set_state(&g->vcpu, &s), 0);
    CHECK_EQ(engine_bt.run(&g->vcpu, 0), VCPU_EXIT_HALT);
}

#define CHECK_COUNTS(g, adaptations, reversions)                                                                       \
    do {                                                                                                               \
        CHECK_EQ((g)->vcpu.counters.n[EV_adaptations], adaptations);                                                   \
        CHECK_EQ((g)->vcpu.counters.n[EV_reversions], reversions);                                                     \
    } while (0)

static void there_and_back(void)
{
    struct guest g;
    set_up(&g, NULL, code, sizeof code);
    run(&g, PLAIN, 0, 1000);
    CHECK_COUNTS(&g, 0, 0);
    run(&g, DEVICE, 0, 5);
    CHECK_EQ(g.device_writes, 5);
    CHECK_COUNTS(&g, 1, 0); // one fault for all five
    run(&g, PLAIN, 8, GUILT_PATIENCE - 1);
    CHECK_COUNTS(&g, 1, 0);
    run(&g, DEVICE, 0, 1); // begins anew
    run(&g, PLAIN, 8, GUILT_PATIENCE - 1);
    CHECK_COUNTS(&g, 1, 0);
    run(&g, PLAIN, 8, 100);
    CHECK_COUNTS(&g, 1, 1);
    uint64_t made = g.vcpu.counters.n[EV_hidden_faults];
    run(&g, PLAIN, 8, 100);
    CHECK(g.vcpu.counters.n[EV_hidden_faults] <= made + 1);

    // From one to the other in one run, by the forwarding jump.
    run(&g, DEVICE, PLAIN - DEVICE, 2);
    CHECK_EQ(g.device_writes, 7);
    CHECK_COUNTS(&g, 2, 1);
    run(&g, PLAIN, 8, 2 * GUILT_PATIENCE - 2);
    CHECK_COUNTS(&g, 2, 1);
    run(&g, PLAIN + 0x1000, 8, 2);
    CHECK_COUNTS(&g, 2, 2);
    run(&g, DEVICE, 0, 3);
    CHECK_EQ(g.device_writes, 10);
    CHECK_COUNTS(&g, 3, 2);
    run(&g, PLAIN, 8, 4 * GUILT_PATIENCE + 9);
    CHECK_COUNTS(&g, 3, 3);
    unsigned bad = 0;
    for (unsigned i = 0; i < 4 * GUILT_PATIENCE; i++)
        bad += g.ram.base[PLAIN + 8 * i] != 7;
    CHECK_EQ(bad, 0);
    tear_down(&g);
}

static void not_at_all(void)
{
    struct guest g;
    set_up(&g, "no-adapt", code, sizeof code);
    run(&g, DEVICE, 0, 5);
    CHECK_EQ(g.device_writes, 5);
    CHECK_COUNTS(&g, 0, 0);
    tear_down(&g);
}

static void verdicts(void)
{
    struct guilt *g = calloc(1, sizeof *g);
    CHECK(!guilt_verdict(g, 0));
    guilt_convict(g, 0); // code may be there, too: one that stayed innocent would fault for ever
    CHECK(guilt_verdict(g, 0) != NULL);
    CHECK_EQ(g->count, 1);
    guilt_convict(g, 5);
    CHECK(guilt_verdict(g, 5) && !guilt_verdict(g, 5 + GUILT_SLOTS));
    CHECK_EQ(guilt_verdict(g, 5)->patience, GUILT_PATIENCE);
    guilt_convict(g, 5); // again while guilty: nothing new
    CHECK_EQ(guilt_verdict(g, 5)->patience, GUILT_PATIENCE);
    for (uint64_t rip = 100; rip < 100 + GUILT_SLOTS; rip++) {
        guilt_convict(g, rip);
        CHECK(guilt_verdict(g, rip));
    }
    CHECK(!guilt_verdict(g, 100)); // forgotten at some time, as there is an end to room
    free(g);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!bt_possible(argv))
        return 0;
    there_and_back();
    not_at_all();
    verdicts();
    return check_done("bt_adapt");
}
