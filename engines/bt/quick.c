// SPDX-License-Identifier: BSD-2-Clause
// What C code does for translated code while the guest's vector registers stay live: an access whose page the software
// TLB did not have, and which is plain RAM. Saving and loading the registers would cost more than all of that. So
// nothing here, and nothing that is called from here, may use a vector register, or leave by a longjmp: the engine's
// objects and x86/paging.c are compiled without vector registers, and scripts/check_quick.py sees to it that no
// function of a library is reached. Anything out of the ordinary: NULL, and the registers are saved for who does it
// all.
#include "engines/bt/memory.h"
#include "engines/bt/run.h"
#include "engines/bt/tc.h"
#include "engines/bt/vectors.h"
#include "engines/bt/world.h"

// Could the instruction raise #MF in place of its access, or not make it at all? (run.c: x87_before_access)
static bool x87_may_raise(const struct insn *in)
{
    uint16_t fsw, fcw;
    if (!(vectors_of(in) & VECTORS_X87))
        return false;
    __asm__ volatile("fnstsw %0; fnstcw %1" : "=m"(fsw), "=m"(fcw));
    return fsw & FSW_ES || (~fcw & FSW_NO_STORE);
}

static bool may_be_refused(const struct insn *in, const struct x86_operand *o, uint64_t va)
{
    return x87_may_raise(in) || (va % o->size && vectors_aligned(in, o)); // and cmpxchg16b
}

const void *bt_access_quickly(struct bt *bt)
{
    const struct site *site = tc_site(bt->tc, bt->site);
    if (site->kind != SITE_ACCESS || !site->live || site->guilty || bt->stepping || bt->break_data ||
        bt->options.trace_tables || site->insn.mode != X86_CODE64 || mem_checks_alignment(bt))
        return NULL;
    bt_registers_home(bt);
    const struct x86_operand *o = &site->insn.op[site->operand];
    uint64_t va = effective_address64(bt, &site->insn, o);
    void *host = may_be_refused(&site->insn, o, va) ? NULL : mem_quick(bt, va, o->size, site->writes);
    if (!host)
        return NULL;
    bt->access = (uint64_t)(uintptr_t)host;
    count(bt, site->event);
    bt_state_to_world(bt);
    return site->resume;
}
