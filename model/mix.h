// SPDX-License-Identifier: BSD-2-Clause
// FILE.mix: how often events happen in something that no results file has.
#ifndef RINGSIDE_MODEL_MIX_H
#define RINGSIDE_MODEL_MIX_H

#include "model/events_map.h"
#include "model/profile.h"

struct mix {
    char bench[MEASURED_NAME_MAX]; // mix/NAME
    struct sheet sheet;
    const struct events_map *events;
};

// 0, or -1 with one line in err; mix_free() in either case. NAME is the file's without folder and `.mix`.
int mix_read(struct mix *m, const char *path, const struct events_map *events, const struct figures *figures, char *err,
             size_t err_size);
void mix_free(struct mix *m);

const char *mix_title(const struct mix *m); // "" where it has none

// On a processor, as counts may be made of times. An event without a line does not happen. 0, or -1 with one line in
// err.
int mix_count(struct mix *m, struct profile *profile, struct counts *counts, char *err, size_t err_size);

#endif
