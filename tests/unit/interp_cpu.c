// SPDX-License-Identifier: BSD-2-Clause
// The interpreter's integer instructions against the host's CPU: random instructions, alone
// and in short runs, with random inputs run on both,
// and registers, flags, memory and faults must agree but for what the manual leaves undefined.
//
// interp_cpu [SEED [COUNT [FIRST]]]: cases FIRST to FIRST + COUNT of SEED. A case depends on seed and number alone, so
// `interp_cpu SEED 1 N` repeats one.
#include <stdlib.h>

#include "tests/cpu/case.h"
#include "tests/cpu/native.h"
#include "tests/cpu/sequence.h"
#include "tests/cpu/subject.h"
#include "tests/unit/check.h"
#include "x86/decode.h"

enum { DEFAULT_COUNT = 400000, SHOWN = 20 };

static void fill_memory(uint8_t *window, const uint8_t *pattern, const struct test_case *t)
{
    memcpy(window, pattern, WINDOW_RW);
    for (unsigned i = 0; i < t->patches; i++)
        memcpy(window + (t->patch[i].at - WINDOW), t->patch[i].bytes, sizeof t->patch[i].bytes);
}

// A fault leaves RF in the image that a signal sees; it is no result of the instruction.
static uint64_t shown_flags(const struct outcome *o, const struct test_case *t)
{
    return o->regs.flags & ~(t->undefined | FLAG_RF);
}

// Where two answers are right: alignment is checked before or after paging, as the processor likes (SDM vol. 3, table
// 6-2, says nothing about two faults of one class), and Linux tells nobody which of its own pages are present.
static bool same_fault(const struct outcome *host, const struct outcome *interp)
{
    if (host->vector == VEC_AC && interp->vector == VEC_PF)
        return true;
    uint64_t hidden = host->vector == VEC_PF && host->cr2 >> 63 ? PF_PRESENT : 0;
    return host->vector == interp->vector && (host->error | hidden) == (interp->error | hidden) &&
           host->cr2 == interp->cr2;
}

static bool same_outcome(const struct test_case *t, const struct outcome *a, const struct outcome *b)
{
    return memcmp(a->regs.gpr, b->regs.gpr, sizeof a->regs.gpr) == 0 && shown_flags(a, t) == shown_flags(b, t) &&
           a->rip == b->rip && same_fault(a, b);
}

static void say_u64(const char *name, uint64_t host, uint64_t interp)
{
    if (host != interp)
        printf(" %s: host %" PRIx64 " interp %" PRIx64 ";", name, host, interp);
}

static void say_memory(const uint8_t *host, const uint8_t *interp)
{
    for (unsigned i = 0, said = 0; i < WINDOW_RW && said < 4; i++) {
        if (host[i] != interp[i]) {
            printf(" [%" PRIx64 "]: host %02x interp %02x;", (uint64_t)(WINDOW + i), host[i], interp[i]);
            said++;
        }
    }
}

static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

// One line with all that is needed to see the difference.
static void report(uint64_t seed, uint64_t number, const struct test_case *t, const struct outcome *host,
                   const struct outcome *interp)
{
    printf("# seed %" PRIu64 " case %" PRIu64 " %s:", seed, number, t->name);
    for (unsigned i = 0; i < t->insns; i++) {
        char text[160];
        x86_format(t->bytes + t->start[i], t->length - t->start[i], INSN_AT + t->start[i], text, sizeof text);
        printf(" %s |", text);
    }
    for (unsigned i = 0; i < 16; i++)
        say_u64(names[i], host->regs.gpr[i], interp->regs.gpr[i]);
    say_u64("flags", shown_flags(host, t), shown_flags(interp, t));
    say_u64("rip", host->rip, interp->rip);
    say_u64("vector", (uint64_t)host->vector, (uint64_t)interp->vector);
    say_u64("error", host->error, interp->error);
    say_u64("cr2", host->cr2, interp->cr2);
    printf(" | in:");
    for (unsigned i = 0; i < 16; i++)
        printf(" %s=%" PRIx64, names[i], t->in.gpr[i]);
    printf(" flags=%" PRIx64 "%s", t->in.flags, t->cold ? " cold" : "");
    for (unsigned i = 0; i < t->patches; i++) {
        uint64_t low, high;
        memcpy(&low, t->patch[i].bytes, 8);
        memcpy(&high, t->patch[i].bytes + 8, 8);
        printf(" [%" PRIx64 "]=%" PRIx64 ":%" PRIx64, t->patch[i].at, high, low);
    }
}

struct totals {
    uint64_t cases, faults, skipped, failed;
};

// A wild address where this process, or AddressSanitizer's shadow, may have memory: not to be touched on the host.
static bool may_be_ours(const struct outcome *interp)
{
    return interp->vector == VEC_PF && interp->cr2 >= 0x7fff0000 && interp->cr2 < 1ull << 47;
}

static void run_case(struct subject *s, const uint8_t *pattern, uint64_t seed, uint64_t number, struct totals *totals)
{
    struct test_case t;
    struct outcome host, interp;
    uint8_t *host_window = (uint8_t *)(uintptr_t)WINDOW, *interp_window = s->ram.base + WINDOW_GPA;
    totals->cases++;
    make_case(seed, number, &t);
    fill_memory(host_window, pattern, &t);
    fill_memory(interp_window, pattern, &t);
    subject_run(s, &t, &interp);
    if (may_be_ours(&interp)) {
        totals->skipped++;
        return;
    }
    native_run(&t, &host);
    bool same_memory = memcmp(host_window, interp_window, WINDOW_RW) == 0;
    totals->faults += host.vector >= 0;
    if (same_outcome(&t, &host, &interp) && same_memory)
        return;
    if (totals->failed++ < SHOWN) {
        report(seed, number, &t, &host, &interp);
        if (!same_memory)
            say_memory(host_window, interp_window);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : DEFAULT_COUNT;
    uint64_t first = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
    static struct subject subject;
    static uint8_t pattern[WINDOW_BYTES];
    struct totals totals = {0};
    for (uint64_t i = 0, rng = 42; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)rng_next(&rng);
    if (!native_start(pattern + WINDOW_RW)) {
        SKIP("the addresses that the test needs are taken");
        return 0;
    }
    if (!CHECK(subject_start(&subject, pattern + WINDOW_RW)))
        return check_done("interp_cpu");
    for (uint64_t i = first; i < first + count; i++)
        run_case(&subject, pattern, seed, i, &totals);
    printf("# %" PRIu64 " cases, %" PRIu64 " of them faults, %" PRIu64 " left out, %" PRIu64 " differ\n", totals.cases,
           totals.faults, totals.skipped, totals.failed);
    CHECK(totals.cases == count);
    CHECK(totals.failed == 0);
    CHECK(totals.skipped <= totals.cases / 100);
    CHECK(count < 1000 || totals.faults > 0);
    subject_stop(&subject);
    return check_done("interp_cpu");
}
