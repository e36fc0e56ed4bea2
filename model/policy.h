// SPDX-License-Identifier: BSD-2-Clause
// model/policies/NAME.policy: what an architectural event costs under a monitor, in terms of a processor's primitives.
#ifndef RINGSIDE_MODEL_POLICY_H
#define RINGSIDE_MODEL_POLICY_H

#include "model/events_map.h"
#include "model/profile.h"

struct policy {
    char name[MEASURED_NAME_MAX];
    struct sheet sheet;
    struct policy *base; // or NULL
    const struct events_map *events;
    struct sources *sources;
};

// What each event costs under a policy on a processor, by its place in the map. Missing: no line, or no primitive.
struct prices {
    struct value event[MODEL_EVENTS_MAX];
    struct figure_set from; // all that any line of the policy rests on
};

// Reads FOLDER/NAME.policy and those that it is based on. NULL with one line in err. Events and sources must stay as
// long as the policy.
struct policy *policy_load(const char *folder, const char *name, const struct events_map *events,
                           struct sources *sources, char *err, size_t err_size);
void policy_free(struct policy *p); // NULL is fine

const char *policy_title(const struct policy *p);

// 0, or -1 with one line in err: a line makes no sense, whatever the processor.
int policy_price(struct policy *p, struct profile *profile, struct prices *prices, char *err, size_t err_size);

// The line that names a figure, as FILE:LINE; false where there is none.
bool policy_cites(const struct policy *p, const struct figure *figure, char *where, size_t where_size);

// The measured time of a benchmark on an engine that works as the policy says. False where there is none.
bool policy_measured(const struct policy *p, const char *bench, double *cycles, char engine[static MEASURED_NAME_MAX]);

#endif
