// SPDX-License-Identifier: BSD-2-Clause
// The whole architectural state, between struct vcpu_state and the dozen ioctls in which KVM keeps it. Nothing in it
// is lost silently: what KVM refuses becomes an error that names the ioctl, or the MSR.
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

#include "engines/vtx/vtx.h"
#include "x86/regs.h"

_Static_assert(sizeof(struct kvm_xsave) == sizeof((struct vcpu_state *)0)->xsave, "KVM_GET_XSAVE gives 4 KiB");

// ---- General registers ----

// enum gpr's order is the instructions', KVM's is its own.
static void general_to_kvm(const struct vcpu_state *s, struct kvm_regs *r)
{
    *r = (struct kvm_regs){
        .rax = s->gpr[RAX],
        .rbx = s->gpr[RBX],
        .rcx = s->gpr[RCX],
        .rdx = s->gpr[RDX],
        .rsi = s->gpr[RSI],
        .rdi = s->gpr[RDI],
        .rsp = s->gpr[RSP],
        .rbp = s->gpr[RBP],
        .r8 = s->gpr[R8],
        .r9 = s->gpr[R9],
        .r10 = s->gpr[R10],
        .r11 = s->gpr[R11],
        .r12 = s->gpr[R12],
        .r13 = s->gpr[R13],
        .r14 = s->gpr[R14],
        .r15 = s->gpr[R15],
        .rip = s->rip,
        .rflags = s->rflags,
    };
}

static void general_from_kvm(const struct kvm_regs *r, struct vcpu_state *s)
{
    const uint64_t gpr[GPR_COUNT] = {
        [RAX] = r->rax, [RCX] = r->rcx, [RDX] = r->rdx, [RBX] = r->rbx, [RSP] = r->rsp, [RBP] = r->rbp,
        [RSI] = r->rsi, [RDI] = r->rdi, [R8] = r->r8,   [R9] = r->r9,   [R10] = r->r10, [R11] = r->r11,
        [R12] = r->r12, [R13] = r->r13, [R14] = r->r14, [R15] = r->r15,
    };
    memcpy(s->gpr, gpr, sizeof gpr);
    s->rip = r->rip;
    s->rflags = r->rflags;
}

// ---- Segments and control registers ----

static struct kvm_segment segment_to_kvm(const struct segment *s)
{
    return (struct kvm_segment){
        .base = s->base,
        .limit = s->limit,
        .selector = s->selector,
        .type = s->attr & SEG_TYPE,
        .s = !!(s->attr & SEG_S),
        .dpl = (s->attr & SEG_DPL) >> SEG_DPL_SHIFT,
        .present = !!(s->attr & SEG_P),
        .avl = !!(s->attr & SEG_AVL),
        .l = !!(s->attr & SEG_L),
        .db = !!(s->attr & SEG_DB),
        .g = !!(s->attr & SEG_G),
        .unusable = s->unusable,
    };
}

static struct segment segment_from_kvm(const struct kvm_segment *k)
{
    unsigned attr = k->type | (k->s ? SEG_S : 0) | ((unsigned)k->dpl << SEG_DPL_SHIFT) | (k->present ? SEG_P : 0) |
                    (k->avl ? SEG_AVL : 0) | (k->l ? SEG_L : 0) | (k->db ? SEG_DB : 0) | (k->g ? SEG_G : 0);
    return (struct segment){
        .base = k->base,
        .limit = k->limit,
        .selector = k->selector,
        .attr = (uint16_t)attr,
        .unusable = k->unusable,
    };
}

static void special_to_kvm(const struct vcpu_state *s, struct kvm_sregs *k)
{
    *k = (struct kvm_sregs){
        .es = segment_to_kvm(&s->seg[SEG_ES]),
        .cs = segment_to_kvm(&s->seg[SEG_CS]),
        .ss = segment_to_kvm(&s->seg[SEG_SS]),
        .ds = segment_to_kvm(&s->seg[SEG_DS]),
        .fs = segment_to_kvm(&s->seg[SEG_FS]),
        .gs = segment_to_kvm(&s->seg[SEG_GS]),
        .ldt = segment_to_kvm(&s->ldtr),
        .tr = segment_to_kvm(&s->tr),
        .gdt = {.base = s->gdtr.base, .limit = s->gdtr.limit},
        .idt = {.base = s->idtr.base, .limit = s->idtr.limit},
        .cr0 = s->cr0,
        .cr2 = s->cr2,
        .cr3 = s->cr3,
        .cr4 = s->cr4,
        .cr8 = s->cr8,
        .efer = s->efer,
        .apic_base = s->apic_base,
    };
}

static void special_from_kvm(const struct kvm_sregs *k, struct vcpu_state *s)
{
    s->seg[SEG_ES] = segment_from_kvm(&k->es);
    s->seg[SEG_CS] = segment_from_kvm(&k->cs);
    s->seg[SEG_SS] = segment_from_kvm(&k->ss);
    s->seg[SEG_DS] = segment_from_kvm(&k->ds);
    s->seg[SEG_FS] = segment_from_kvm(&k->fs);
    s->seg[SEG_GS] = segment_from_kvm(&k->gs);
    s->ldtr = segment_from_kvm(&k->ldt);
    s->tr = segment_from_kvm(&k->tr);
    s->gdtr = (struct table_reg){.base = k->gdt.base, .limit = k->gdt.limit};
    s->idtr = (struct table_reg){.base = k->idt.base, .limit = k->idt.limit};
    s->cr0 = k->cr0;
    s->cr2 = k->cr2;
    s->cr3 = k->cr3;
    s->cr4 = k->cr4;
    s->cr8 = k->cr8;
    s->efer = k->efer;
    s->apic_base = k->apic_base;
}

// ---- MSRs ----

static const struct msr_field {
    uint32_t index;
    size_t offset; // of a uint64_t in struct vcpu_state
} msr_fields[] = {
    {MSR_STAR, offsetof(struct vcpu_state, star)},
    {MSR_LSTAR, offsetof(struct vcpu_state, lstar)},
    {MSR_CSTAR, offsetof(struct vcpu_state, cstar)},
    {MSR_SFMASK, offsetof(struct vcpu_state, sfmask)},
    {MSR_KERNEL_GS_BASE, offsetof(struct vcpu_state, kernel_gs_base)},
    {MSR_SYSENTER_CS, offsetof(struct vcpu_state, sysenter_cs)},
    {MSR_SYSENTER_ESP, offsetof(struct vcpu_state, sysenter_esp)},
    {MSR_SYSENTER_EIP, offsetof(struct vcpu_state, sysenter_eip)},
    {MSR_PAT, offsetof(struct vcpu_state, pat)},
    {MSR_TSC_AUX, offsetof(struct vcpu_state, tsc_aux)},
};
#define MSR_COUNT (sizeof msr_fields / sizeof *msr_fields)

struct msr_list {
    struct kvm_msrs head;
    struct kvm_msr_entry entries[MSR_COUNT];
};

// KVM_GET_MSRS and KVM_SET_MSRS stop at the first MSR that they refuse and return how many went well.
static int msrs(struct vcpu *v, unsigned long request, const char *name, struct msr_list *list, unsigned n)
{
    list->head = (struct kvm_msrs){.nmsrs = n};
    int done = vtx_ioctl(v, vtx_of(v)->cpu, request, name, list);
    if (done < 0)
        return -1;
    if ((unsigned)done < n)
        return vtx_fail(v, "%s: %s refuses MSR %#x", name, vtx_of(v)->backend, list->entries[done].index);
    return 0;
}

static int msrs_set(struct vcpu *v, const struct vcpu_state *s)
{
    struct msr_list list = {0};
    for (size_t i = 0; i < MSR_COUNT; i++) {
        list.entries[i].index = msr_fields[i].index;
        memcpy(&list.entries[i].data, (const char *)s + msr_fields[i].offset, sizeof(uint64_t));
    }
    return msrs(v, KVM_SET_MSRS, "KVM_SET_MSRS", &list, MSR_COUNT);
}

static int msrs_get(struct vcpu *v, struct vcpu_state *s)
{
    struct msr_list list = {0};
    for (size_t i = 0; i < MSR_COUNT; i++)
        list.entries[i].index = msr_fields[i].index;
    if (msrs(v, KVM_GET_MSRS, "KVM_GET_MSRS", &list, MSR_COUNT))
        return -1;
    for (size_t i = 0; i < MSR_COUNT; i++)
        memcpy((char *)s + msr_fields[i].offset, &list.entries[i].data, sizeof(uint64_t));
    return 0;
}

// ---- TSC ----

// Before Linux 5.16 the offset can only be had by reading both clocks one after the other.
static int tsc_get(struct vcpu *v, uint64_t *offset)
{
    struct vtx *x = vtx_of(v);
    if (x->has_tsc_offset) {
        struct kvm_device_attr attr = {
            .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)offset};
        return VTX_IOCTL(v, x->cpu, KVM_GET_DEVICE_ATTR, &attr);
    }
    struct msr_list list = {.entries = {{.index = MSR_TSC}}};
    if (msrs(v, KVM_GET_MSRS, "KVM_GET_MSRS", &list, 1))
        return -1;
    *offset = list.entries[0].data - __rdtsc();
    return 0;
}

static int tsc_set(struct vcpu *v, uint64_t offset)
{
    struct vtx *x = vtx_of(v);
    if (!x->has_tsc_offset) {
        struct msr_list list = {.entries = {{.index = MSR_TSC, .data = __rdtsc() + offset}}};
        return msrs(v, KVM_SET_MSRS, "KVM_SET_MSRS", &list, 1);
    }
    struct kvm_device_attr attr = {.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&offset};
    return VTX_IOCTL(v, x->cpu, KVM_SET_DEVICE_ATTR, &attr);
}

// ---- Debug registers, xcr0, x87/SSE/AVX ----

#define XCR0_RESET 1 // x87 only; what a CPU without XSAVE amounts to

static int xcr0_set(struct vcpu *v, uint64_t value)
{
    if (!vtx_of(v)->has_xcrs)
        return value == XCR0_RESET ? 0 : vtx_fail(v, "xcr0 %#llx: this CPU has no XSAVE", (unsigned long long)value);
    struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = value}}};
    return VTX_IOCTL(v, vtx_of(v)->cpu, KVM_SET_XCRS, &xcrs);
}

static int xcr0_get(struct vcpu *v, uint64_t *value)
{
    struct kvm_xcrs xcrs = {0};
    *value = XCR0_RESET;
    if (vtx_of(v)->has_xcrs && VTX_IOCTL(v, vtx_of(v)->cpu, KVM_GET_XCRS, &xcrs) < 0)
        return -1;
    for (uint32_t i = 0; i < xcrs.nr_xcrs && i < KVM_MAX_XCRS; i++)
        if (xcrs.xcrs[i].xcr == 0)
            *value = xcrs.xcrs[i].value;
    return 0;
}

// xcr0 goes before the XSAVE area, whose components it allows.
static int debug_and_fpu_set(struct vcpu *v, const struct vcpu_state *s)
{
    struct kvm_debugregs debug = {.dr6 = s->dr6, .dr7 = s->dr7};
    struct kvm_xsave xsave;
    memcpy(debug.db, s->dr, sizeof debug.db);
    memcpy(&xsave, s->xsave, sizeof xsave);
    if (VTX_IOCTL(v, vtx_of(v)->cpu, KVM_SET_DEBUGREGS, &debug) < 0 || xcr0_set(v, s->xcr0) < 0)
        return -1;
    return VTX_IOCTL(v, vtx_of(v)->cpu, KVM_SET_XSAVE, &xsave);
}

static int debug_and_fpu_get(struct vcpu *v, struct vcpu_state *s)
{
    struct kvm_debugregs debug;
    struct kvm_xsave xsave;
    if (VTX_IOCTL(v, vtx_of(v)->cpu, KVM_GET_DEBUGREGS, &debug) < 0 || xcr0_get(v, &s->xcr0) < 0 ||
        VTX_IOCTL(v, vtx_of(v)->cpu, KVM_GET_XSAVE, &xsave) < 0)
        return -1;
    memcpy(s->dr, debug.db, sizeof debug.db);
    s->dr6 = debug.dr6;
    s->dr7 = debug.dr7;
    memcpy(s->xsave, &xsave, sizeof xsave);
    return 0;
}

// ---- Events on their way, and whether the vCPU is halted ----

#define SHADOW_MOV_SS 0x1 // KVM_X86_SHADOW_INT_MOV_SS and _STI in the kernel's asm/kvm_host.h
#define SHADOW_STI 0x2

static int events_set(struct vcpu *v, const struct vcpu_state *s)
{
    struct kvm_vcpu_events e = {.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW};
    e.interrupt.shadow = (s->mov_ss_shadow ? SHADOW_MOV_SS : 0) | (s->sti_shadow ? SHADOW_STI : 0);
    e.nmi.masked = s->nmi_masked;
    e.nmi.pending = s->nmi_pending;
    if (s->event_pending && s->event_type == EVENT_EXCEPTION) {
        e.exception.injected = 1;
        e.exception.nr = s->event_vector;
        e.exception.has_error_code = s->event_has_error;
        e.exception.error_code = s->event_error;
    } else if (s->event_pending && s->event_type == EVENT_NMI) {
        e.nmi.injected = 1;
    } else if (s->event_pending) {
        e.interrupt.injected = 1;
        e.interrupt.nr = s->event_vector;
        e.interrupt.soft = s->event_type == EVENT_SOFTWARE;
    }
    bool kernel_halts = s->halted && !vtx_of(v)->options.user_irqchip;
    struct kvm_mp_state mp = {.mp_state = kernel_halts ? KVM_MP_STATE_HALTED : KVM_MP_STATE_RUNNABLE};
    if (VTX_IOCTL(v, vtx_of(v)->cpu, KVM_SET_VCPU_EVENTS, &e) < 0)
        return -1;
    return VTX_IOCTL(v, vtx_of(v)->cpu, KVM_SET_MP_STATE, &mp);
}

static void event_from_kvm(const struct kvm_vcpu_events *e, struct vcpu_state *s)
{
    s->event_pending = e->exception.injected || e->exception.pending || e->interrupt.injected || e->nmi.injected;
    if (e->exception.injected || e->exception.pending) {
        s->event_type = EVENT_EXCEPTION;
        s->event_vector = e->exception.nr;
        s->event_has_error = e->exception.has_error_code;
        s->event_error = e->exception.has_error_code ? e->exception.error_code : 0;
    } else if (e->interrupt.injected) {
        s->event_type = e->interrupt.soft ? EVENT_SOFTWARE : EVENT_EXTERNAL;
        s->event_vector = e->interrupt.nr;
    } else if (e->nmi.injected) {
        s->event_type = EVENT_NMI;
        s->event_vector = VEC_NMI;
    }
}

static int events_get(struct vcpu *v, struct vcpu_state *s)
{
    struct kvm_vcpu_events e;
    struct kvm_mp_state mp;
    if (VTX_IOCTL(v, vtx_of(v)->cpu, KVM_GET_VCPU_EVENTS, &e) < 0 ||
        VTX_IOCTL(v, vtx_of(v)->cpu, KVM_GET_MP_STATE, &mp) < 0)
        return -1;
    event_from_kvm(&e, s);
    s->mov_ss_shadow = e.interrupt.shadow & SHADOW_MOV_SS;
    s->sti_shadow = e.interrupt.shadow & SHADOW_STI;
    s->nmi_masked = e.nmi.masked;
    s->nmi_pending = e.nmi.pending;
    s->halted = mp.mp_state == KVM_MP_STATE_HALTED;
    return 0;
}

// ---- All of it ----

int vtx_get_state(struct vcpu *v, struct vcpu_state *state)
{
    int cpu = vtx_of(v)->cpu;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    memset(state, 0, sizeof *state);
    // The events first: asking for them moves a pending fault's address into cr2 and dr6.
    if (events_get(v, state) || VTX_IOCTL(v, cpu, KVM_GET_REGS, &regs) < 0 ||
        VTX_IOCTL(v, cpu, KVM_GET_SREGS, &sregs) < 0)
        return -1;
    general_from_kvm(&regs, state);
    special_from_kvm(&sregs, state);
    if (vtx_of(v)->options.user_irqchip) { // a device may have changed it since the guest ran
        state->cr8 = v->cr8;
        state->halted = vtx_of(v)->halted;
    }
    return msrs_get(v, state) || tsc_get(v, &state->tsc_offset) || debug_and_fpu_get(v, state) ? -1 : 0;
}

int vtx_set_state(struct vcpu *v, const struct vcpu_state *state)
{
    int cpu = vtx_of(v)->cpu;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    general_to_kvm(state, &regs);
    special_to_kvm(state, &sregs);
    if (vtx_of(v)->options.user_irqchip) {
        v->cr8 = (uint8_t)state->cr8;
        v->apic_base = state->apic_base;
        vtx_of(v)->halted = state->halted;
    }
    vtx_of(v)->settled = false;
    // Another engine may have run the guest, and have rewritten its page tables.
    if (vtx_memory_renew(v))
        return -1;
    // The events last: KVM_SET_SREGS and KVM_SET_REGS drop what is pending.
    if (VTX_IOCTL(v, cpu, KVM_SET_SREGS, &sregs) < 0 || VTX_IOCTL(v, cpu, KVM_SET_REGS, &regs) < 0)
        return -1;
    return msrs_set(v, state) || tsc_set(v, state->tsc_offset) || debug_and_fpu_set(v, state) || events_set(v, state)
               ? -1
               : 0;
}
