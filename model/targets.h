// SPDX-License-Identifier: BSD-2-Clause
// model/targets: which published figure a prediction is held against, and how its cycles become the figure's unit.
#ifndef RINGSIDE_MODEL_TARGETS_H
#define RINGSIDE_MODEL_TARGETS_H

#include "model/predict.h"

struct targets {
    struct sheet sheet; // a line a target; its name is the figure's
};

// 0, or -1 with one line in err: no such figure, too. targets_free() in either case.
int targets_read(struct targets *t, const char *path, const struct figures *figures, char *err, size_t err_size);
void targets_free(struct targets *t);

const char *target_bench(const struct sheet_line *target);
const char *target_policy(const struct sheet_line *target);
const char *target_profile(const struct sheet_line *target);
const char *target_meaning(const struct sheet_line *target);

// What a target's expression is evaluated over.
struct target_case {
    const struct events_map *events;
    struct profile *profile;
    const struct prediction *own, *native;
};

// The prediction in the figure's unit. What is wrong with the line has FILE:LINE in its words.
struct value target_value(struct targets *t, struct sheet_line *target, struct target_case *c);

#endif
