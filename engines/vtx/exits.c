// SPDX-License-Identifier: BSD-2-Clause
// Option exits: every exit from the guest counted by the reason that the CPU gives for it (SDM vol. 3, appendix C; APM
// vol. 2, appendix C), those that KVM handles by itself included. KVM's tracepoint kvm:kvm_exit carries the reason; one
// perf event on this thread for each reason, with a filter, counts it in the kernel. That makes every exit dearer by
// some hundred instructions: it is for counts, and is off where time is measured.
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engines/vtx/vtx.h"

#define TRACEPOINT_ID "/sys/kernel/tracing/events/kvm/kvm_exit/id"

// intr_info is the VM-exit interruption information (SDM vol. 3, 25.9.2): valid, an error code, hardware exception 14;
// bit 12 is set where an iret had been at it. Of CRs that VT-x intercepts, only cr8 has bit 3 of the exit qualification
// set (table 28-3).
#define VMX_PAGE_FAULT "(intr_info == 0x80000b0e || intr_info == 0x80001b0e)"

static const struct reason {
    enum event event;
    const char *vmx, *svm; // filters of the tracepoint; NULL: there is no such exit
} reasons[] = {
    {EV_hw_exits, "", ""},
    {EV_hw_interrupt, "exit_reason == 1", "exit_reason == 0x60"},
    {EV_hw_page_fault, "exit_reason == 0 && " VMX_PAGE_FAULT, "exit_reason == 0x4e"},
    {EV_hw_exception, "exit_reason == 0 && !" VMX_PAGE_FAULT,
     "(exit_reason >= 0x40 && exit_reason <= 0x5f && exit_reason != 0x4e) || exit_reason == 0x61"},
    {EV_hw_nested_fault, "exit_reason == 48 || exit_reason == 49", "exit_reason == 0x400"},
    {EV_hw_io, "exit_reason == 30", "exit_reason == 0x7b"},
    {EV_hw_cr, "exit_reason == 28 && !(info1 & 8)",
     "(exit_reason <= 0x1f && exit_reason != 0x08 && exit_reason != 0x18) || exit_reason == 0x65"},
    {EV_hw_cr8, "exit_reason == 28 && info1 & 8", "exit_reason == 0x08 || exit_reason == 0x18"},
    {EV_hw_dr, "exit_reason == 29", "exit_reason >= 0x20 && exit_reason <= 0x3f"},
    {EV_hw_invlpg, "exit_reason == 14 || exit_reason == 58", "exit_reason == 0x79 || exit_reason == 0xa2"},
    {EV_hw_msr, "exit_reason == 31 || exit_reason == 32", "exit_reason == 0x7c"},
    {EV_hw_cpuid, "exit_reason == 10", "exit_reason == 0x72"},
    {EV_hw_tsc, "exit_reason == 16 || exit_reason == 51", "exit_reason == 0x6e || exit_reason == 0x87"},
    {EV_hw_hlt, "exit_reason == 12", "exit_reason == 0x78"},
    {EV_hw_window, "exit_reason == 7 || exit_reason == 8", "exit_reason == 0x64"},
    {EV_hw_apic, "(exit_reason >= 43 && exit_reason <= 45) || exit_reason == 56",
     "exit_reason == 0x401 || exit_reason == 0x402"},
    {EV_hw_timer, "exit_reason == 52", NULL},
};
_Static_assert(sizeof reasons / sizeof *reasons == VTX_REASONS, "vtx.h has a descriptor for each");

event_mask vtx_exits_known(void)
{
    event_mask mask = EVENT_BIT(hw_other);
    for (size_t i = 0; i < VTX_REASONS; i++)
        mask |= (event_mask)1 << reasons[i].event;
    return mask;
}

static int read_id(struct vcpu *v, uint64_t *id)
{
    char text[32] = "";
    FILE *file = fopen(TRACEPOINT_ID, "re");
    if (!file)
        return vtx_fail(v, "option exits: %s: %s (it needs root, and mount -t tracefs tracing /sys/kernel/tracing)",
                        TRACEPOINT_ID, strerror(errno));
    bool got = fgets(text, sizeof text, file) != NULL;
    fclose(file);
    *id = strtoull(text, NULL, 10);
    return got && *id ? 0 : vtx_fail(v, "option exits: %s holds no number", TRACEPOINT_ID);
}

// On the calling thread, which is the one that runs the vCPU.
static int open_reason(struct vcpu *v, int *fd, uint64_t id, const char *filter)
{
    struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof attr, .config = id};
    *fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (*fd < 0)
        return vtx_fail(v, "option exits: perf_event_open(kvm:kvm_exit): %s", strerror(errno));
    if (filter[0] && ioctl(*fd, PERF_EVENT_IOC_SET_FILTER, filter))
        return vtx_fail(v, "option exits: this kernel refuses the filter '%s': %s", filter, strerror(errno));
    return 0;
}

int vtx_exits_setup(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    uint64_t id = 0;
    if (!x->options.exits)
        return 0;
    bool vmx = !strcmp(x->backend, "kvm_intel");
    if (!vmx && strcmp(x->backend, "kvm_amd"))
        return vtx_fail(v, "option exits: %s has no VT-x or SVM whose exit reasons could be counted", x->backend);
    if (read_id(v, &id))
        return -1;
    for (size_t i = 0; i < VTX_REASONS; i++) {
        const char *filter = vmx ? reasons[i].vmx : reasons[i].svm;
        if (filter && open_reason(v, &x->reason[i], id, filter))
            return -1;
    }
    return 0;
}

// What none of the filters takes is counted too, so that the reasons add up to all exits.
void vtx_exits_read(const struct vtx *x, struct counters *c)
{
    uint64_t named = 0, value;
    if (!x->options.exits)
        return;
    for (size_t i = 0; i < VTX_REASONS; i++) {
        if (x->reason[i] < 0 || read(x->reason[i], &value, sizeof value) != sizeof value)
            continue;
        c->n[reasons[i].event] = value;
        named += reasons[i].event == EV_hw_exits ? 0 : value;
    }
    c->n[EV_hw_other] = c->n[EV_hw_exits] - named;
}
