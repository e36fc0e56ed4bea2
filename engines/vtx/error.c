// SPDX-License-Identifier: BSD-2-Clause
// The KVM exits that end a run, each as one line that names the back end, the reason, and where there is one the
// guest's instruction.
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "engines/vtx/vtx.h"
#include "x86/decode.h"

static const char *exit_name(uint32_t reason)
{
    static const char *const names[] = {
        [KVM_EXIT_UNKNOWN] = "KVM_EXIT_UNKNOWN",
        [KVM_EXIT_EXCEPTION] = "KVM_EXIT_EXCEPTION",
        [KVM_EXIT_HYPERCALL] = "KVM_EXIT_HYPERCALL",
        [KVM_EXIT_DEBUG] = "KVM_EXIT_DEBUG",
        [KVM_EXIT_FAIL_ENTRY] = "KVM_EXIT_FAIL_ENTRY",
        [KVM_EXIT_SET_TPR] = "KVM_EXIT_SET_TPR",
        [KVM_EXIT_TPR_ACCESS] = "KVM_EXIT_TPR_ACCESS",
        [KVM_EXIT_NMI] = "KVM_EXIT_NMI",
        [KVM_EXIT_INTERNAL_ERROR] = "KVM_EXIT_INTERNAL_ERROR",
        [KVM_EXIT_SYSTEM_EVENT] = "KVM_EXIT_SYSTEM_EVENT",
        [KVM_EXIT_IOAPIC_EOI] = "KVM_EXIT_IOAPIC_EOI",
        [KVM_EXIT_HYPERV] = "KVM_EXIT_HYPERV",
        [KVM_EXIT_X86_RDMSR] = "KVM_EXIT_X86_RDMSR",
        [KVM_EXIT_X86_WRMSR] = "KVM_EXIT_X86_WRMSR",
        [KVM_EXIT_DIRTY_RING_FULL] = "KVM_EXIT_DIRTY_RING_FULL",
        [KVM_EXIT_AP_RESET_HOLD] = "KVM_EXIT_AP_RESET_HOLD",
        [KVM_EXIT_X86_BUS_LOCK] = "KVM_EXIT_X86_BUS_LOCK",
        [KVM_EXIT_XEN] = "KVM_EXIT_XEN",
        [KVM_EXIT_NOTIFY] = "KVM_EXIT_NOTIFY",
    };
    const char *name = reason < sizeof names / sizeof *names ? names[reason] : NULL;
    return name ? name : "an exit unknown to this program";
}

static const char *suberror_text(uint32_t suberror)
{
    switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
        return "cannot emulate this instruction";
    case KVM_INTERNAL_ERROR_SIMUL_EX:
        return "gave up on exceptions within exceptions";
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
        return "could not deliver an event to the guest";
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
        return "met a hardware exit that it does not know";
    default:
        return "stopped for a reason of its own";
    }
}

// Up to n bytes of guest code at linear address rip, as far as they are mapped RAM.
static size_t fetch_code(struct vcpu *v, uint64_t rip, uint8_t *out, size_t n)
{
    size_t done = 0;
    while (done < n) {
        struct kvm_translation t = {.linear_address = rip + done};
        if (ioctl(vtx_of(v)->cpu, KVM_TRANSLATE, &t) < 0 || !t.valid)
            break;
        size_t in_page = GUEST_PAGE_SIZE - ((rip + done) & ~GUEST_PAGE_MASK);
        size_t part = n - done < in_page ? n - done : in_page;
        const void *from = ram_at(v->ram, gpa(t.physical_address), part);
        if (!from)
            break;
        memcpy(out + done, from, part);
        done += part;
    }
    return done;
}

// The bytes that KVM has fetched itself are the truth; older kernels do not hand them over.
static size_t failing_code(struct vcpu *v, uint64_t rip, uint8_t out[X86_MAX_INSN])
{
    const struct kvm_run *run = vtx_of(v)->run;
    if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR && run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION &&
        run->emulation_failure.ndata >= 3 &&
        (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
        size_t n = run->emulation_failure.insn_size;
        n = n < X86_MAX_INSN ? n : X86_MAX_INSN;
        memcpy(out, run->emulation_failure.insn_bytes, n);
        if (n)
            return n;
    }
    return fetch_code(v, rip, out, X86_MAX_INSN);
}

// " at rip X (CPL 0): BYTES  INSTRUCTION", or as much of it as can be had.
static void describe_place(struct vcpu *v, char *out, size_t size)
{
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    uint8_t code[X86_MAX_INSN];
    char text[128] = "no code there";
    out[0] = 0;
    if (ioctl(vtx_of(v)->cpu, KVM_GET_REGS, &regs) < 0 || ioctl(vtx_of(v)->cpu, KVM_GET_SREGS, &sregs) < 0)
        return;
    size_t n = failing_code(v, regs.rip, code);
    if (n)
        x86_format(code, n, regs.rip, text, sizeof text);
    snprintf(out, size, " at rip %#llx (CPL %u): %s", regs.rip, sregs.ss.dpl, text);
}

enum vcpu_exit vtx_error_exit(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    const struct kvm_run *run = x->run;
    char place[192];
    describe_place(v, place, sizeof place);
    switch (run->exit_reason) {
    case KVM_EXIT_INTERNAL_ERROR:
        vtx_fail(v, "%s %s (suberror %u)%s", x->backend, suberror_text(run->internal.suberror), run->internal.suberror,
                 place);
        v->unsupported = !x->hardware && run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION;
        break;
    case KVM_EXIT_FAIL_ENTRY:
        vtx_fail(v, "%s: the CPU refuses the guest's state, hardware reason %#llx%s", x->backend,
                 run->fail_entry.hardware_entry_failure_reason, place);
        break;
    case KVM_EXIT_SYSTEM_EVENT:
        vtx_fail(v, "%s: the guest raised system event %u%s", x->backend, run->system_event.type, place);
        break;
    case KVM_EXIT_UNKNOWN:
        vtx_fail(v, "%s: KVM_EXIT_UNKNOWN, hardware exit reason %#llx%s", x->backend, run->hw.hardware_exit_reason,
                 place);
        break;
    default:
        vtx_fail(v, "%s: unexpected exit %u, %s%s", x->backend, run->exit_reason, exit_name(run->exit_reason), place);
    }
    return VCPU_EXIT_ERROR;
}
