// SPDX-License-Identifier: BSD-2-Clause
// The hardware virtualization engine: the table of its functions, and a vCPU's life from /dev/kvm to close().
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engines/vtx/vtx.h"

int vtx_fail(struct vcpu *v, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(v->error, sizeof v->error, format, ap);
    va_end(ap);
    return -1;
}

int vtx_ioctl(struct vcpu *v, int fd, unsigned long request, const char *name, void *arg)
{
    int result = ioctl(fd, request, arg);
    if (result < 0)
        return vtx_fail(v, "%s: %s (errno %d)", name, strerror(errno), errno);
    return result;
}

static void vtx_destroy(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    if (!x)
        return;
    if (x->run)
        munmap(x->run, x->run_size);
    for (size_t i = 0; i < VTX_REASONS; i++)
        if (x->reason[i] >= 0)
            close(x->reason[i]);
    int fds[] = {x->vm_stats, x->cpu_stats, x->cpu, x->vm, x->kvm};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(x);
    v->engine_data = NULL;
}

// KVM_GET_STATS_FD is from Linux 5.14; without it the engine runs and has no statistics.
static void open_stats(struct vtx *x)
{
    if (ioctl(x->kvm, KVM_CHECK_EXTENSION, KVM_CAP_BINARY_STATS_FD) <= 0)
        return;
    x->vm_stats = ioctl(x->vm, KVM_GET_STATS_FD, NULL);
    x->cpu_stats = ioctl(x->cpu, KVM_GET_STATS_FD, NULL);
}

static int create_cpu(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    x->cpu = VTX_IOCTL(v, x->vm, KVM_CREATE_VCPU, NULL);
    if (x->cpu < 0)
        return -1;
    int size = VTX_IOCTL(v, x->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);
    if (size < 0)
        return -1;
    if ((size_t)size < sizeof(struct kvm_run))
        return vtx_fail(v, "KVM_GET_VCPU_MMAP_SIZE: %d bytes are too few", size);
    void *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, x->cpu, 0);
    if (run == MAP_FAILED)
        return vtx_fail(v, "mmap of the vCPU: %s", strerror(errno));
    x->run = run;
    v->device[0] = x->cpu; // KVM_RUN, and the state
    v->device[1] = x->vm;  // vtx_memory_renew()
    x->run_size = (size_t)size;
    x->has_xcrs = ioctl(x->kvm, KVM_CHECK_EXTENSION, KVM_CAP_XCRS) > 0;
    open_stats(x);
    vtx_kvm_events_setup(x);
    return 0;
}

static int enable_cap(struct vcpu *v, uint32_t number, const char *name, uint64_t argument)
{
    struct vtx *x = vtx_of(v);
    struct kvm_enable_cap cap = {.cap = number, .args = {argument}};
    if (ioctl(x->kvm, KVM_CHECK_EXTENSION, (unsigned long)number) <= 0)
        return 0; // an older kernel: its default stays
    return vtx_ioctl(v, x->vm, KVM_ENABLE_CAP, name, &cap) < 0 ? -1 : 0;
}

// By default KVM rewrites the guest's vmcall into vmmcall or back, lets monitor and mwait pass as nop where CPUID has
// none, and gives user code #UD for an instruction that it cannot emulate. A guest must see what a CPU does, and what
// is not the CPU's doing must end the run with the reason.
static int set_policies(struct vcpu *v)
{
    uint64_t off =
        KVM_X86_QUIRK_OUT_7E_INC_RIP | KVM_X86_QUIRK_FIX_HYPERCALL_INSN | KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS;
    int known = ioctl(vtx_of(v)->kvm, KVM_CHECK_EXTENSION, KVM_CAP_DISABLE_QUIRKS2);
    if (known > 0 && enable_cap(v, KVM_CAP_DISABLE_QUIRKS2, "KVM_ENABLE_CAP(DISABLE_QUIRKS2)", off & (unsigned)known))
        return -1;
    return enable_cap(v, KVM_CAP_EXIT_ON_EMULATION_FAILURE, "KVM_ENABLE_CAP(EXIT_ON_EMULATION_FAILURE)", 1);
}

static int create_all(struct vcpu *v)
{
    struct vtx *x = vtx_of(v);
    struct engine_info info;
    vtx_probe(&info);
    if (!info.available)
        return vtx_fail(v, "%s", info.reason);
    memcpy(x->backend, info.backend, sizeof x->backend);
    x->hardware = info.hardware;
    if (vtx_options_parse(&x->options, v->settings, v->error, sizeof v->error))
        return -1;

    x->kvm = open(VTX_DEVICE, O_RDWR | O_CLOEXEC);
    if (x->kvm < 0)
        return vtx_fail(v, "open " VTX_DEVICE ": %s", strerror(errno));
    x->vm = VTX_IOCTL(v, x->kvm, KVM_CREATE_VM, NULL);
    if (x->vm < 0 || set_policies(v) || vtx_memory_setup(v) || vtx_irq_setup(v) || create_cpu(v))
        return -1;
    return vtx_cpuid_setup(v) || vtx_tsc_setup(v) || vtx_kick_setup(v) || vtx_exits_setup(v) ? -1 : 0;
}

static int vtx_create(struct vcpu *v)
{
    struct vtx *x = calloc(1, sizeof *x);
    if (!x)
        return vtx_fail(v, "no memory for the vCPU");
    x->kvm = x->vm = x->cpu = x->vm_stats = x->cpu_stats = -1;
    for (size_t i = 0; i < VTX_REASONS; i++)
        x->reason[i] = -1;
    v->engine_data = x;
    memset(&v->counters, 0, sizeof v->counters);
    if (create_all(v) == 0)
        return 0;
    vtx_destroy(v);
    return -1;
}

static void vtx_counters(struct vcpu *v, struct counters *out)
{
    *out = v->counters;
    vtx_kvm_events_read(vtx_of(v), out);
    vtx_exits_read(vtx_of(v), out);
}

static event_mask vtx_counts_with(const char *settings)
{
    struct vtx_options options;
    char ignored[1];
    bool good = !vtx_options_parse(&options, settings, ignored, sizeof ignored);
    return engine_vtx.counts | vtx_kvm_events_known() | (good && options.exits ? vtx_exits_known() : 0);
}

// Interrupt controllers are the kernel's, and devices raise their lines through irq_line; or, with irqchip=user, the
// machine's, and set_intr is its output.
const struct engine engine_vtx = {
    .name = "vtx",
    .summary = "hardware virtualization (VT-x, SVM) through " VTX_DEVICE,
    .counts = EVENT_BIT(exits) | EVENT_BIT(exit_pio) | EVENT_BIT(exit_mmio) | EVENT_BIT(exit_halt) |
              EVENT_BIT(exit_shutdown) | EVENT_BIT(exit_mark) | EVENT_BIT(exit_host) | EVENT_BIT(exit_window) |
              EVENT_BIT(exit_other),
    .counts_with = vtx_counts_with,
    .options = vtx_option_table,
    .check_settings = vtx_options_check,
    .probe = vtx_probe,
    .moves_with = "irqchip=user",
    .limit_cpuid = vtx_limit_cpuid,
    .create = vtx_create,
    .destroy = vtx_destroy,
    .run = vtx_run,
    .breakpoints_max = VTX_BREAKPOINTS,
    .set_breakpoints = vtx_set_breakpoints,
    .step = vtx_step,
    .get_state = vtx_get_state,
    .set_state = vtx_set_state,
    .set_intr = vtx_set_intr,
    .inject_nmi = vtx_inject_nmi,
    .has_irqchip = vtx_has_irqchip,
    .irq_line = vtx_irq_line,
    .kick = vtx_kick,
    .counters = vtx_counters,
    .stats = vtx_stats,
};
