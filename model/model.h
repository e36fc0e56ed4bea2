// SPDX-License-Identifier: BSD-2-Clause
// All files of the model together: found by name, read once, and priced once for each monitor and processor.
#ifndef RINGSIDE_MODEL_MODEL_H
#define RINGSIDE_MODEL_MODEL_H

#include "model/mix.h"
#include "model/targets.h"

enum { MODEL_FILES_MAX = 64, MODEL_PATH_MAX = 4096 };

struct model_prices {
    const struct policy *policy;
    const struct profile *profile;
    struct prices prices;
};

struct model {
    char folder[MODEL_PATH_MAX]; // with profiles/, policies/, mixes/, events, targets
    struct sources sources;
    struct events_map events;
    struct targets targets;
    struct profile *profile[MODEL_FILES_MAX];
    struct policy *policy[MODEL_FILES_MAX];
    struct mix *mix[MODEL_FILES_MAX];
    struct model_prices *prices[MODEL_FILES_MAX * 4];
};

// Names of the files of one kind, sorted.
struct names {
    char name[MODEL_FILES_MAX][MEASURED_NAME_MAX];
    size_t count;
};

// Reads ROOT/results/reference, ROOT/model/events, ROOT/model/targets and the results files. NULL with one line in err.
struct model *model_open(const char *root, char *const *results, size_t result_count, char *err, size_t err_size);
void model_close(struct model *m); // NULL is fine

// Which there are: "profile", "policy" or "mix". 0, or -1 with one line in err.
int model_names(const struct model *m, const char *kind, struct names *names, char *err, size_t err_size);

// By name, whatever its case, read when first asked for. NULL with one line in err.
struct profile *model_profile(struct model *m, const char *name, char *err, size_t err_size);
struct policy *model_policy(struct model *m, const char *name, char *err, size_t err_size);
// A mix by its benchmark's name, mix/NAME; or by the path of its file.
struct mix *model_mix(struct model *m, const char *name, char *err, size_t err_size);
struct mix *model_mix_file(struct model *m, const char *path, char *err, size_t err_size);

// The line of the mix of that name, or of the targets, that names a figure, as FILE:LINE; false where there is none.
bool model_cites(const struct model *m, const char *bench, const struct figure *figure, char *where, size_t where_size);

// What a monitor's events cost on a processor; made once. NULL with one line in err.
const struct prices *model_prices(struct model *m, struct policy *policy, struct profile *profile, char *err,
                                  size_t err_size);

// How often events happen in a benchmark of the results, or in a mix. 0, or -1 with one line in err.
int model_counts(struct model *m, const char *bench, struct profile *profile, struct counts *counts, char *err,
                 size_t err_size);

// --set NAME=VALUE: NAME is an event's, whose count it is, or else a primitive's. All prices are made anew. 0, or -1
// with one line in err.
int model_change(struct model *m, const char *name, double number, char *err, size_t err_size);

#endif
