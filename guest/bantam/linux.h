// SPDX-License-Identifier: BSD-2-Clause
// Linux's numbers for x86-64, of which the kernel and its programs need these: uapi/asm-generic/errno-base.h, errno.h,
// signal.h, mman-common.h, fcntl.h, linux/auxvec.h.
#ifndef RINGSIDE_GUEST_BANTAM_LINUX_H
#define RINGSIDE_GUEST_BANTAM_LINUX_H

#include <stdint.h>

// System calls: SYS_fork is 57.
enum {
#define SYSCALL(number, name) SYS_##name = number,
#include "guest/bantam/syscalls.def"
#undef SYSCALL
    SYS_ringside_mark = 0x5253, // not Linux's: a measuring mark (include/guest_abi.h), -ENOSYS there
};

enum {
    EPERM = 1,
    ENOENT = 2,
    ESRCH = 3,
    EINTR = 4,
    EIO = 5,
    E2BIG = 7,
    ENOEXEC = 8,
    EBADF = 9,
    ECHILD = 10,
    EAGAIN = 11,
    ENOMEM = 12,
    EFAULT = 14,
    EINVAL = 22,
    ENFILE = 23,
    EMFILE = 24,
    ESPIPE = 29,
    EROFS = 30,
    EPIPE = 32,
    ENAMETOOLONG = 36,
    ENOSYS = 38,
    ERESTARTSYS = 512, // never seen by a program: -EINTR, or the system call once more where a handler has SA_RESTART
};

enum {
    SIGHUP = 1,
    SIGILL = 4,
    SIGTRAP = 5,
    SIGBUS = 7,
    SIGFPE = 8,
    SIGKILL = 9,
    SIGSEGV = 11,
    SIGPIPE = 13,
    SIGTERM = 15,
    SIGCHLD = 17,
    SIGCONT = 18,
    SIGSTOP = 19,
    SIGTTOU = 22, // SIGSTOP to here: what stops a job on Linux
    SIGURG = 23,
    SIGWINCH = 28,
    SIGNALS = 31, // 1..31
};

struct sigaction { // Linux's struct kernel_sigaction
    uint64_t handler, flags, restorer, mask;
};

#define PROT_READ 1u
#define PROT_WRITE 2u
#define PROT_EXEC 4u
#define MAP_PRIVATE 0x02u
#define MAP_FIXED 0x10u
#define MAP_ANONYMOUS 0x20u

// The auxiliary vector.
enum {
    AT_NULL = 0,
    AT_PHDR = 3,
    AT_PHENT = 4,
    AT_PHNUM = 5,
    AT_PAGESZ = 6,
    AT_BASE = 7,
    AT_FLAGS = 8,
    AT_ENTRY = 9,
    AT_UID = 11,
    AT_EUID = 12,
    AT_GID = 13,
    AT_EGID = 14,
    AT_HWCAP = 16,
    AT_CLKTCK = 17,
    AT_SECURE = 23,
    AT_RANDOM = 25,
    AT_EXECFN = 31,
};

#endif
