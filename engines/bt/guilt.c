// SPDX-License-Identifier: BSD-2-Clause
// Verdicts by guest-virtual address, in an open hash table that forgets everything when half full.
#include "engines/bt/guilt.h"

#include <string.h>

static struct verdict *slot_of(struct guilt *g, uint64_t rip)
{
    uint64_t i = (rip * 0x9e3779b97f4a7c15ull) >> 40;
    while (g->slot[i % GUILT_SLOTS].patience && g->slot[i % GUILT_SLOTS].rip != rip)
        i++;
    return &g->slot[i % GUILT_SLOTS];
}

struct verdict *guilt_verdict(struct guilt *g, uint64_t rip)
{
    struct verdict *v = slot_of(g, rip);
    return v->guilty ? v : NULL;
}

void guilt_convict(struct guilt *g, uint64_t rip)
{
    if (g->count > GUILT_SLOTS / 2)
        memset(g, 0, sizeof *g);
    struct verdict *v = slot_of(g, rip);
    if (!v->patience) {
        *v = (struct verdict){.rip = rip, .patience = GUILT_PATIENCE};
        g->count++;
    } else if (!v->guilty && v->patience <= UINT32_MAX / 2) {
        v->patience *= 2;
    }
    v->guilty = true;
    v->calm = 0;
}

bool guilt_try(struct verdict *v, bool special)
{
    v->calm = special ? 0 : v->calm + 1;
    if (v->calm < v->patience)
        return false;
    v->guilty = false;
    return true;
}
