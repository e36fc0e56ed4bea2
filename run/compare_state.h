// SPDX-License-Identifier: BSD-2-Clause
// Two states of a CPU, field by field and by name.
#ifndef RINGSIDE_RUN_COMPARE_STATE_H
#define RINGSIDE_RUN_COMPARE_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "include/vcpu_state.h"

enum { DIFFERENCES_MAX = 32 };

struct difference {
    char name[24];
    uint64_t value[2];
};

struct differences {
    struct difference list[DIFFERENCES_MAX]; // the first ones
    size_t count;
};

void difference_add(struct differences *d, const char *name, uint64_t a, uint64_t b);
// Adds what differs between two states.
void state_compare(const struct vcpu_state *a, const struct vcpu_state *b, struct differences *d);

const char *register_name(int number);
// The number of the general register of that name, or -1.
int register_number(const char *name);

#endif
