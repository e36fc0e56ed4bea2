// SPDX-License-Identifier: BSD-2-Clause
// Instructions with nothing to do on one in-order vCPU: nops, fences, hints, prefetches, cache-line flushes.
#include "engines/interp/cpuid.h"
#include "engines/interp/fault.h"
#include "engines/interp/insn_args.h"
#include "engines/interp/lower.h"
#include "engines/interp/mmu.h"

static HANDLER(op_nop)
{
    NEXT;
}

bool lower_nop(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)in;
    (void)arg;
    emit(l, op_nop);
    return true;
}

// Documented to be undefined: ud0, ud1, ud2.
bool lower_ud(struct lower *l, const struct insn *in, unsigned arg)
{
    (void)l;
    (void)in;
    (void)arg;
    return false;
}

// clflush, clflushopt, clwb: fault like a byte load, and do no more (SDM vol. 2, CLFLUSH).
static HANDLER(op_touch)
{
    load8(c, op, ea(c, op));
    NEXT;
}

bool lower_hint_mem(struct lower *l, const struct insn *in, unsigned arg)
{
    if ((arg == LINE_CLFLUSHOPT && !cpuid_has(l->c, FEATURE_CLFLUSHOPT)) ||
        (arg == LINE_CLWB && !cpuid_has(l->c, FEATURE_CLWB)))
        return false;
    emit_mem(l, op_touch, in, &in->op[0]);
    return true;
}
