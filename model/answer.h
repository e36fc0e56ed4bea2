// SPDX-License-Identifier: BSD-2-Clause
// What the model says about one benchmark under one monitor on one processor, and everything it can be held against.
#ifndef RINGSIDE_MODEL_ANSWER_H
#define RINGSIDE_MODEL_ANSWER_H

#include "model/provenance.h"

struct answer {
    struct basis basis;
    struct counts counts;
    struct prediction own, native;
    struct comparison *comparison; // the measured time first, then the targets in their order; none after --set
    size_t comparison_count;
};

// NULL with one line in err. bench, policy and profile must stay as long as the answer.
struct answer *answer_make(struct model *m, const char *bench, struct policy *policy, struct profile *profile,
                           char *err, size_t err_size);
void answer_free(struct answer *a); // NULL is fine

// The answer that a target is about, with that target's comparison alone; files that it names are read. NULL with one
// line in err.
struct answer *answer_target(struct model *m, struct sheet_line *target, char *err, size_t err_size);

#endif
