// SPDX-License-Identifier: BSD-2-Clause
// The model itself: the sum of what each event costs, as often as it happens.
#ifndef RINGSIDE_MODEL_PREDICT_H
#define RINGSIDE_MODEL_PREDICT_H

#include "model/policy.h"

struct prediction {
    struct value part[MODEL_EVENTS_MAX]; // cycles, by the event's place in the map
    struct value cycles;                 // their sum; missing where one of them is
};

void predict(const struct events_map *events, const struct prices *prices, const struct counts *counts,
             struct prediction *p);

#endif
