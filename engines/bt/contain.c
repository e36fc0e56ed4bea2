// SPDX-License-Identifier: BSD-2-Clause
// A guest kernel can write to the monitor's own addresses (layout.h): in the fast world nothing checks a store that
// does not fault. So the process that runs it keeps only the system calls that running it takes, by a seccomp filter:
// memory, time, signals, waiting, and reading and writing of what is open. Any other one ends the run with one line.
#include "engines/bt/contain.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "engines/bt/bt.h"
#include "engines/bt/direct.h"

#define EXIT_CONTAINED 8 // the status of an engine that could not go on (docs/cli.md)

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, what)
#define IF_EQUAL(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise)
#define ALLOW(number) IF_EQUAL(number, 0, 1), ANSWER(SECCOMP_RET_ALLOW)
#define REFUSE(number, error) IF_EQUAL(number, 0, 1), ANSWER(SECCOMP_RET_ERRNO | (error))
// Only where no bit of the mask is set in the low half of the third argument, which is a protection.
#define ALLOW_UNLESS(number, mask)                                                                                     \
    IF_EQUAL(number, 0, 4), LOAD(args[2]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, mask, 0, 1), ANSWER(SECCOMP_RET_TRAP), \
        ANSWER(SECCOMP_RET_ALLOW)
#define ALLOW_IF_FIRST(number, value)                                                                                  \
    IF_EQUAL(number, 0, 4), LOAD(args[0]), IF_EQUAL(value, 0, 1), ANSWER(SECCOMP_RET_ALLOW), ANSWER(SECCOMP_RET_TRAP)
#define REFUSE_UNLESS_ON(number, one, other, error)                                                                    \
    IF_EQUAL(number, 0, 5), LOAD(args[0]), IF_EQUAL(one, 1, 0), IF_EQUAL(other, 0, 1), ANSWER(SECCOMP_RET_ALLOW),      \
        ANSWER(SECCOMP_RET_ERRNO | (error))

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        _exit(EXIT_CONTAINED);
}

static void on_refused(int number, siginfo_t *info, void *context)
{
    char line[120];
    (void)number, (void)context;
    snprintf(line, sizeof line, "ringside: bt: contained: system call %d is none that running a guest takes\n",
             info->si_syscall);
    say(line);
    _exit(EXIT_CONTAINED);
}

static int install(const struct sock_fprog *program)
{
    const unsigned flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return -1;
    long other = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
    if (other > 0)
        errno = EBUSY; // this thread cannot take the filter
    return other ? -1 : 0;
}

int bt_contain(struct vcpu *v, const int device[VCPU_DEVICES])
{
    struct bt *bt = v->engine_data;
    const struct sock_filter filter[] = {
        LOAD(arch),
        IF_EQUAL(AUDIT_ARCH_X86_64, 1, 0),
        ANSWER(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        // The fast world's mappings and kicks come first: they are what costs time.
        ALLOW(SYS_sigaltstack),
        ALLOW_UNLESS(SYS_mmap, PROT_EXEC),
        ALLOW(SYS_munmap),
        ALLOW_UNLESS(SYS_mprotect, PROT_EXEC),
        ALLOW(SYS_write),
        ALLOW(SYS_rt_sigreturn),
        ALLOW(SYS_futex),
        ALLOW(SYS_poll),
        ALLOW(SYS_read),
        ALLOW(SYS_pread64),
        ALLOW(SYS_timerfd_settime),
        ALLOW(SYS_clock_gettime),
        ALLOW_IF_FIRST(SYS_tgkill, (unsigned)getpid()),
        ALLOW(SYS_brk),
        ALLOW(SYS_getrandom),
        ALLOW(SYS_madvise),
        ALLOW(SYS_mremap),
        ALLOW(SYS_rt_sigprocmask),
        ALLOW(SYS_rt_sigaction),
        ALLOW(SYS_arch_prctl),
        ALLOW(SYS_clock_nanosleep),
        ALLOW(SYS_restart_syscall),
        ALLOW(SYS_rseq), // the watching thread may only just be starting
        ALLOW(SYS_set_robust_list),
        ALLOW(SYS_sched_setaffinity),
        ALLOW(SYS_sched_getaffinity),
        ALLOW(SYS_getpid),
        ALLOW(SYS_gettid),
        ALLOW(SYS_close),
        ALLOW(SYS_pidfd_send_signal), // to processes for user code (process.h): nobody else's pidfd can be had
        ALLOW(SYS_sched_yield),
        ALLOW(SYS_waitid),
        ALLOW(SYS_timer_delete),
        ALLOW(SYS_exit),
        ALLOW(SYS_exit_group),
        REFUSE(SYS_openat, EACCES),     // libraries look for random numbers or time zones, and can do without
        REFUSE(SYS_newfstatat, EACCES), // stdio asks what it writes to, and does without an answer
        REFUSE_UNLESS_ON(SYS_ioctl, (unsigned)device[0], (unsigned)device[1], ENOTTY), // stdio, too, asks by it
        REFUSE(SYS_lseek, ESPIPE),
        ANSWER(SECCOMP_RET_TRAP),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = (struct sock_filter *)filter};
    struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (direct_prepare(bt))
        return -1;
    if (bt->options.no_seccomp)
        return 0;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSYS, &action, NULL);
    tzset(); // reads its file now, and not when the guest first asks for the time of day
    if (install(&program) == 0)
        return 0;
    snprintf(v->error, sizeof v->error, "cannot give up system calls (seccomp: %s); --bt-no-seccomp does without",
             strerror(errno));
    return -1;
}
