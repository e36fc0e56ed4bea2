// SPDX-License-Identifier: BSD-2-Clause
// The names and meanings of include/events.def as a table.
#include "include/events.h"

const struct event_info event_table[EV_COUNT] = {
#define EVENT(name, meaning) [EV_##name] = {#name, meaning},
#include "include/events.def"
#undef EVENT
};

_Static_assert(EV_COUNT <= 8 * sizeof(event_mask), "an engine's `counts` mask has one bit for each event");
