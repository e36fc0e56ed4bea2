// SPDX-License-Identifier: BSD-2-Clause
// Which comparisons test the model. A figure that set a parameter of what is in use cannot be predicted by it: that is
// decided here, by what the values rest on, and nowhere else.
#ifndef RINGSIDE_MODEL_PROVENANCE_H
#define RINGSIDE_MODEL_PROVENANCE_H

#include "model/model.h"

enum { WHERE_SIZE = MEASURED_NAME_MAX + 24 };

#define MEASURABLE_CYCLES 0.5

// A prediction beside a figure.
struct comparison {
    int figure;                      // its place, or FIGURE_NONE where it is a measured one that no file names
    const struct sheet_line *target; // NULL: the figure is a measured time of this machine
    char engine[MEASURED_NAME_MAX];  // ... of this engine
    double against;
    struct value predicted; // in the figure's unit
    bool set;               // used to set a parameter: no prediction
    char by[WHERE_SIZE];    // by which line: FILE:LINE; "" where it is not set
};

// (predicted - figure) / figure. False where there is no prediction, or the figure is 0 (a measured one: below
// MEASURABLE_CYCLES).
bool comparison_error(const struct comparison *c, double *error);

// What a prediction was made with: a benchmark or mix, a processor, a monitor and nobody (the policy `native`), and
// what their events cost.
struct basis {
    const char *bench;
    struct profile *profile;
    struct policy *policy, *native;
    const struct prices *prices, *native_prices; // the model's
};

// Whether a figure is among what the basis or the values themselves rest on; if so, where it is named.
bool provenance_set(struct model *m, int figure, const struct basis *basis, const struct figure_set *values,
                    char by[static WHERE_SIZE]);

// How well a number of comparisons came out. Only predictions count.
struct score {
    size_t predictions; // with a relative error
    size_t zeros;       // predictions of a figure that is 0, which can have none
    size_t sets, unknown;
    double *error;    // of each prediction, its size
    double zero_miss; // the largest prediction of a 0
};

int score_add(struct score *s, const struct comparison *c); // -1: no memory
double score_median(struct score *s);                       // of |error|; NaN of none
size_t score_within(const struct score *s, double limit);   // how many have |error| <= limit
void score_free(struct score *s);

#endif
