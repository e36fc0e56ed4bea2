// SPDX-License-Identifier: BSD-2-Clause
// model/profiles/NAME.profile: what a processor's primitive operations cost.
#ifndef RINGSIDE_MODEL_PROFILE_H
#define RINGSIDE_MODEL_PROFILE_H

#include "model/sheet.h"
#include "model/sources.h"

struct profile {
    char name[MEASURED_NAME_MAX];
    struct sheet sheet;
    struct profile *base; // or NULL
    struct sources *sources;
};

// Reads FOLDER/NAME.profile and those that it is based on, and makes every value once. NULL with one line in err. The
// sources must stay as long as the profile.
struct profile *profile_load(const char *folder, const char *name, struct sources *sources, char *err, size_t err_size);
void profile_free(struct profile *p); // NULL is fine

const char *profile_title(const struct profile *p);
// Whether measured times are this processor's.
bool profile_is_of_results(const struct profile *p);

// A primitive's value; missing where the profile has none of this name.
struct value profile_value(struct profile *p, const char *primitive);
bool profile_has(const struct profile *p, const char *primitive);

// All figures that a line in use rests on.
struct figure_set profile_from(struct profile *p);
// The line that names a figure, as FILE:LINE; false where there is none.
bool profile_cites(const struct profile *p, const struct figure *figure, char *where, size_t where_size);

// --set has changed something: values are made again.
void profile_forget(struct profile *p);

#endif
