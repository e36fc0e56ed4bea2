// SPDX-License-Identifier: BSD-2-Clause
// The table of system calls, made of syscalls.def, and those that belong nowhere else.
#include "guest/bantam/kernel.h"
#include "guest/insn.h"

#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define REBOOT_MAGIC1 0xfee1dead
#define UTSNAME_BYTES 65

extern syscall_fn *const syscall_table[SYSCALL_TABLE_SIZE]; // called by entry.S
int64_t syscall_beyond(struct trap_frame *frame);

static int64_t unknown(struct trap_frame *frame)
{
    (void)frame;
    return -ENOSYS;
}

// An entry for each number: GCC's range initialisers come first, and those of the .def override them.
#pragma GCC diagnostic ignored "-Woverride-init"
syscall_fn *const syscall_table[SYSCALL_TABLE_SIZE] = {
    [0 ... SYSCALL_TABLE_SIZE - 1] = unknown,
#define SYSCALL(number, name) [number] = sys_##name,
#include "guest/bantam/syscalls.def"
#undef SYSCALL
};

// Numbers that are not in the table. A measuring mark is Ringside's own: its monitor reads its counters at the `out`.
int64_t syscall_beyond(struct trap_frame *frame)
{
    if (frame->rax != SYS_ringside_mark)
        return -ENOSYS;
    outl(PORT_MARK, (uint32_t)ARG0(frame));
    return 0;
}

int64_t sys_arch_prctl(struct trap_frame *frame)
{
    struct process *p = current();
    if (ARG0(frame) == ARCH_GET_FS)
        return copy_to_user(ARG1(frame), &p->fs_base, sizeof p->fs_base);
    if (ARG0(frame) != ARCH_SET_FS)
        return -EINVAL;
    if (ARG1(frame) >= USER_TOP)
        return -EPERM;
    p->fs_base = ARG1(frame);
    write_msr(MSR_FS_BASE, p->fs_base);
    return 0;
}

int64_t sys_uname(struct trap_frame *frame)
{
    static const struct {
        char system[UTSNAME_BYTES], node[UTSNAME_BYTES], release[UTSNAME_BYTES], version[UTSNAME_BYTES],
            machine[UTSNAME_BYTES], domain[UTSNAME_BYTES];
    } names = {"Bantam", "ringside", "1", "1", "x86_64", ""};
    return copy_to_user(ARG0(frame), &names, sizeof names);
}

// Whatever is asked for, the machine goes off.
int64_t sys_reboot(struct trap_frame *frame)
{
    if ((uint32_t)ARG0(frame) != REBOOT_MAGIC1)
        return -EINVAL;
    power_off(0);
}
