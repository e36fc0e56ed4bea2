// SPDX-License-Identifier: BSD-2-Clause
// Which guest instructions run in their checked form ("innocent until proven guilty"). An access that the host cannot
// make as it is (a device, a traced page, an address out of the bias's reach) proves an instruction guilty. Executions
// of the checked form that meet nothing of the kind, so many in a row, make it innocent again. Twice as many are asked
// for each time that it has become guilty once more: what an instruction does wrong costs less and less often.
#ifndef RINGSIDE_BT_GUILT_H
#define RINGSIDE_BT_GUILT_H

#include <stdbool.h>
#include <stdint.h>

#define GUILT_SLOTS 4096u
#define GUILT_PATIENCE 256u // a fault and two translations cost about as much as so many checks

struct verdict {
    uint64_t rip;
    uint32_t patience; // 0: a free slot
    uint32_t calm;
    bool guilty;
};

struct guilt {
    struct verdict slot[GUILT_SLOTS];
    unsigned count;
};

// The verdict on a guilty instruction; NULL for an innocent one.
struct verdict *guilt_verdict(struct guilt *g, uint64_t rip);
void guilt_convict(struct guilt *g, uint64_t rip);
// An execution of the checked form met something special, or did not. True: the instruction has become innocent.
bool guilt_try(struct verdict *v, bool special);

#endif
