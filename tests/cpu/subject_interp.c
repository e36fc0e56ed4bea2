// SPDX-License-Identifier: BSD-2-Clause
// The interpreter as a subject.
#include "tests/cpu/subject.h"

#include <stdio.h>

#include "tests/cpu/rows.h"
#include "tests/cpu/subject_interp.h"

struct interp_subject {
    struct subject_guest guest;
    const uint8_t *pattern;
};

static void *start(const uint8_t *pattern, uint64_t components, char *err, unsigned err_size)
{
    struct interp_subject *s = aligned_alloc(64, (sizeof *s + 63) / 64 * 64);
    if (s && subject_start(&s->guest, pattern + WINDOW_RW, components)) {
        s->pattern = pattern;
        announce_all(s->guest.cpuid, (unsigned)s->guest.vcpu.cpuid.count);
        return s;
    }
    snprintf(err, err_size, "interp cannot be started");
    free(s);
    return NULL;
}

static void stop(void *self)
{
    struct interp_subject *s = self;
    subject_stop(&s->guest);
    free(s);
}

static void run(void *self, const struct test_case *t, struct subject_result *r)
{
    struct interp_subject *s = self;
    uint8_t *window = s->guest.ram.base + WINDOW_GPA;
    fill_memory(window, s->pattern, t);
    *r = (struct subject_result){.memory = window};
    subject_run(&s->guest, t, &r->out);
}

const struct subject subject_interp = {"interp", false, start, stop, run};
