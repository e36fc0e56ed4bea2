// SPDX-License-Identifier: BSD-2-Clause
// Breakpoints and single steps for a debugger outside, by KVM_SET_GUEST_DEBUG (Documentation/virt/kvm/api.rst, 4.87):
// breakpoints in the processor's debug registers, of which there are four and which the guest keeps its own of.
#include <string.h>
#include <sys/ioctl.h>

#include "engines/vtx/vtx.h"

#define DR7_FIXED 0x400u                // SDM vol. 3, 17.2.4: bit 10 is always 1
#define DR7_GLOBAL(n) (2u << (2 * (n))) // G0-G3; R/W and LEN stay 0: execution

static int set_debug(struct vcpu *v, uint32_t control)
{
    struct vtx *x = vtx_of(v);
    struct kvm_guest_debug debug = {.control = control};
    if (x->breakpoints.count && !(control & KVM_GUESTDBG_SINGLESTEP)) {
        debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
        debug.arch.debugreg[7] = DR7_FIXED;
        for (unsigned i = 0; i < x->breakpoints.count; i++) {
            debug.arch.debugreg[i] = x->breakpoints.at[i];
            debug.arch.debugreg[7] |= DR7_GLOBAL(i);
        }
    }
    return VTX_IOCTL(v, x->cpu, KVM_SET_GUEST_DEBUG, &debug) < 0 ? -1 : 0;
}

int vtx_set_breakpoints(struct vcpu *v, const struct breakpoints *b)
{
    vtx_of(v)->breakpoints = *b;
    return set_debug(v, 0);
}

static bool is_halted(struct vcpu *v)
{
    struct kvm_mp_state mp = {0};
    bool asked = ioctl(vtx_of(v)->cpu, KVM_GET_MP_STATE, &mp) == 0;
    return vtx_of(v)->halted || (asked && mp.mp_state == KVM_MP_STATE_HALTED);
}

enum vcpu_exit vtx_step(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    uint32_t control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
    int known = ioctl(x->vm, KVM_CHECK_EXTENSION, KVM_CAP_SET_GUEST_DEBUG2);
    if (known > 0 && (known & KVM_GUESTDBG_BLOCKIRQ) && !is_halted(v))
        control |= KVM_GUESTDBG_BLOCKIRQ;
    if (set_debug(v, control))
        return VCPU_EXIT_ERROR;
    x->stepping = true;
    enum vcpu_exit exit = vtx_run(v, 0);
    x->stepping = false;
    return set_debug(v, 0) ? VCPU_EXIT_ERROR : exit;
}
