// SPDX-License-Identifier: BSD-2-Clause
// Can KVM run here, and who does the work behind /dev/kvm: VT-x, SVM or software, with nested or shadow paging? The
// answers are part of every table's column name, so whatever is in doubt is called not hardware.
#include <cpuid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engines/vtx/vtx.h"

#define CPUID1_ECX_VMX (1u << 5)
#define CPUID1_ECX_HYPERVISOR (1u << 31)
#define CPUID80000001_ECX_SVM (1u << 2)

static const struct capability {
    int number;
    const char *name;
} required[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
    {KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
    {KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR"},
    {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
    {KVM_CAP_PIT2, "KVM_CAP_PIT2"},
    {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
    {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
    {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
    {KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS"},
    {KVM_CAP_XSAVE, "KVM_CAP_XSAVE"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

static bool cpuid_ecx_has(uint32_t leaf, uint32_t bit)
{
    uint32_t a, b, c, d;
    return __get_cpuid(leaf, &a, &b, &c, &d) && (c & bit);
}

static bool module_loaded(const char *sys_module, const char *name)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", sys_module, name);
    return stat(path, &st) == 0;
}

// A module parameter's first character: 'Y', 'N', '1', '0', or 0 where it cannot be read.
static char module_parameter(const char *sys_module, const char *module, const char *parameter)
{
    char path[256], value = 0;
    snprintf(path, sizeof path, "%s/%s/parameters/%s", sys_module, module, parameter);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (read(fd, &value, 1) != 1)
        value = 0;
    close(fd);
    return value;
}

// The name of a kvm_* module that is neither of the two hardware ones, e.g. kvm_pvm.
static bool find_other_backend(const char *sys_module, char *name, size_t size)
{
    DIR *dir = opendir(sys_module);
    if (!dir)
        return false;
    bool found = false;
    for (struct dirent *e; !found && (e = readdir(dir));) {
        found = strncmp(e->d_name, "kvm_", 4) == 0 && strcmp(e->d_name, "kvm_intel") && strcmp(e->d_name, "kvm_amd");
        if (found)
            snprintf(name, size, "%.*s", (int)size - 1, e->d_name);
    }
    closedir(dir);
    return found;
}

static void describe_hardware(const char *sys_module, const char *module, const char *parameter,
                              struct engine_info *info)
{
    snprintf(info->backend, sizeof info->backend, "%s", module);
    info->hardware = true;
    switch (module_parameter(sys_module, module, parameter)) {
    case 'Y':
    case '1':
        snprintf(info->paging, sizeof info->paging, "nested (%s)", parameter);
        break;
    case 'N':
    case '0':
        snprintf(info->paging, sizeof info->paging, "shadow (%s=0)", parameter);
        break;
    default:
        snprintf(info->paging, sizeof info->paging, "unknown (no %s in /sys)", parameter);
    }
}

// One module at a time can stand behind /dev/kvm. A built-in kvm_intel or kvm_amd is listed on every CPU, so the CPU
// must have the extension too; and where any other back end is loaded, hardware is not claimed.
static void describe_backend(const char *sys_module, struct engine_info *info)
{
    snprintf(info->nested, sizeof info->nested, "%s",
             cpuid_ecx_has(1, CPUID1_ECX_HYPERVISOR) ? "in a VM" : "bare metal");
    if (find_other_backend(sys_module, info->backend, sizeof info->backend)) {
        snprintf(info->paging, sizeof info->paging, "software shadow");
    } else if (module_loaded(sys_module, "kvm_intel") && cpuid_ecx_has(1, CPUID1_ECX_VMX)) {
        describe_hardware(sys_module, "kvm_intel", "ept", info);
    } else if (module_loaded(sys_module, "kvm_amd") && cpuid_ecx_has(0x80000001, CPUID80000001_ECX_SVM)) {
        describe_hardware(sys_module, "kvm_amd", "npt", info);
    } else {
        snprintf(info->backend, sizeof info->backend, "unknown");
        snprintf(info->paging, sizeof info->paging, "unknown");
    }
}

static void explain_open(const char *device, int error, struct engine_info *info)
{
    if (error == ENOENT || error == ENODEV || error == ENXIO)
        snprintf(info->reason, sizeof info->reason,
                 "no %s: enable VT-x or SVM in the firmware (or nested virtualization in the host), then "
                 "modprobe kvm_intel or kvm_amd",
                 device);
    else if (error == EACCES || error == EPERM)
        snprintf(info->reason, sizeof info->reason,
                 "no permission for %s: join group kvm (sudo usermod -aG kvm $USER) and log in again", device);
    else
        snprintf(info->reason, sizeof info->reason, "cannot open %s: %s", device, strerror(error));
}

static void check_api(const char *device, int fd, struct engine_info *info)
{
    int version = ioctl(fd, KVM_GET_API_VERSION, 0);
    if (version < 0) {
        snprintf(info->reason, sizeof info->reason, "%s is not KVM: KVM_GET_API_VERSION: %s", device, strerror(errno));
        return;
    }
    if (version != KVM_API_VERSION) {
        snprintf(info->reason, sizeof info->reason, "KVM_GET_API_VERSION: %d, not %d: this kernel's KVM is too old",
                 version, KVM_API_VERSION);
        return;
    }
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        if (ioctl(fd, KVM_CHECK_EXTENSION, required[i].number) <= 0) {
            snprintf(info->reason, sizeof info->reason, "%s (%s) lacks %s: a newer kernel may have it", device,
                     info->backend, required[i].name);
            return;
        }
    }
    info->available = true;
}

void vtx_probe_at(const char *device, const char *sys_module, struct engine_info *info)
{
    memset(info, 0, sizeof *info);
    describe_backend(sys_module, info);
    int fd = open(device, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        explain_open(device, errno, info);
    } else {
        check_api(device, fd, info);
        close(fd);
    }
}

void vtx_probe(struct engine_info *info)
{
    vtx_probe_at(VTX_DEVICE, "/sys/module", info);
}
