// SPDX-License-Identifier: BSD-2-Clause
// A process for directly executed code, from fork until the stub takes over. It is still a copy of the monitor here,
// and trusted; the stub unmaps all of that before anything of the guest's is mapped.
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/rseq.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engines/bt/process_inside.h"

#define SA_RESTORER 0x04000000
#define RSEQ_SIGNATURE 0x53053053 // glibc's
#define RSEQ_LEAST 32
#define RSEQ_ALIGN 32
#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE 27
#endif

enum step { STEP_PARENT, STEP_FILES, STEP_WINDOW, STEP_SIGNALS, STEP_THREAD, STEPS };

const char *process_child_step(uint64_t step)
{
    static const char *const own[STEPS] = {"its parent went away", "passing file descriptors", "mapping its window",
                                           "signal handlers", "leaving the C library"};
    static const char *const stub[] = {"unmapping the monitor", "Syscall User Dispatch (Linux 5.11 has it)", "seccomp"};
    if (step < STEPS)
        return own[step];
    step -= PROCESS_STEP_STUB;
    return step < sizeof stub / sizeof stub[0] ? stub[step] : "?";
}

_Noreturn static void give_up(struct process_state *state, enum step step, int error)
{
    state->result = -error;
    state->frame = step;
    _exit(1);
}

// Nothing stays open but the two that the stub knows.
static int set_files(const struct process_child *c)
{
    const int from[] = {[FD_RAM] = c->memfd, [FD_SAID] = c->said};
    int away[2];
    for (int fd = 0; fd < 2; fd++) // out of the way first: one of them may be another's number
        if ((away[fd] = fcntl(from[fd], F_DUPFD, 2)) < 0)
            return -1;
    for (int fd = 0; fd < 2; fd++)
        if (dup2(away[fd], fd) < 0)
            return -1;
    return (int)syscall(SYS_close_range, 2, ~0u, 0);
}

static bool map(uint64_t from, uint64_t to, int prot, int flags, int fd)
{
    void *at = (void *)(uintptr_t)(WINDOW + from);
    off_t offset = fd < 0 ? 0 : (off_t)(from - IN_SHARED);
    return mmap(at, to - from, prot, flags | MAP_FIXED_NOREPLACE, fd, offset) == at;
}

static int map_window(int shared)
{
    void *text = (void *)(uintptr_t)(WINDOW + IN_TEXT);
    if (!map(IN_TEXT, IN_TEXT + TEXT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1) ||
        !map(IN_TOLD, IN_STATE, PROT_READ, MAP_SHARED, shared) ||
        !map(IN_STATE, IN_SHARED + SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, shared))
        return -1;
    memcpy(text, process_stub, (size_t)(process_stub_end - process_stub));
    return mprotect(text, TEXT_BYTES, PROT_READ | PROT_EXEC);
}

// As the kernel takes it: glibc would put in its own way back from a handler.
static int handle(int number, uint64_t handler, uint64_t flags)
{
    struct {
        uint64_t handler, flags, restorer, mask;
    } action = {handler, flags, WINDOW, 0};
    return (int)syscall(SYS_rt_sigaction, number, &action, NULL, sizeof action.mask);
}

static int set_signals(void)
{
    static const int stop[] = {SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, STOP_SIGNAL};
    static const int keep[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT};
    const uint64_t flags = SA_SIGINFO | SA_ONSTACK | SA_RESTORER, none = 0;
    int bad = 0;
    for (int number = 1; number < NSIG; number++) // Ctrl-C and the like are for the monitor
        if (number != SIGKILL && number != SIGSTOP)
            bad |= handle(number, (uint64_t)(uintptr_t)SIG_IGN, SA_RESTORER);
    for (unsigned i = 0; i < sizeof keep / sizeof keep[0]; i++)
        bad |= handle(keep[i], (uint64_t)(uintptr_t)SIG_DFL, SA_RESTORER);
    for (unsigned i = 0; i < sizeof stop / sizeof stop[0]; i++)
        bad |= handle(stop[i], process_stub_at(process_stub_stop), flags | SA_NODEFER);
    bad |= handle(SIGURG, process_stub_at(process_stub_urgent), flags);
    return bad | (int)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

// The kernel writes to a thread's rseq area whenever it has been preempted, and it would be gone.
static int leave_rseq(void)
{
    extern const ptrdiff_t __rseq_offset __attribute__((weak));
    extern const unsigned __rseq_size __attribute__((weak));
    if (!&__rseq_offset || !__rseq_size)
        return 0;
    char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
    unsigned long feature = getauxval(AT_RSEQ_FEATURE_SIZE), size = RSEQ_LEAST;
    if (syscall(SYS_rseq, area, size, RSEQ_FLAG_UNREGISTER, RSEQ_SIGNATURE) == 0)
        return 0;
    size = (feature + RSEQ_ALIGN - 1) / RSEQ_ALIGN * RSEQ_ALIGN; // where the kernel has more fields, newer glibc
    return (int)syscall(SYS_rseq, area, size, RSEQ_FLAG_UNREGISTER, RSEQ_SIGNATURE);
}

static int leave_library(void)
{
    const struct rlimit none = {0, 0};
    prctl(PR_SET_NAME, "ringside-user");
    syscall(SYS_set_robust_list, NULL, 3 * sizeof(long));
    syscall(SYS_set_tid_address, NULL);
    return leave_rseq() | setrlimit(RLIMIT_CORE, &none) | prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

// cpuid is a fault from here on, so that a guest program is told by the translator what there is. Were it told of the
// host's wider vector registers it would use them, and its kernel, which knows nothing of them, would not save them. A
// host may be unable to (SDM vol. 3, CPUID faulting; no such bit in /proc/cpuinfo).
static void hide_cpu(void)
{
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0L);
}

_Noreturn void process_child(const struct process_child *given)
{
    const struct process_child c = *given;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != c.parent)
        give_up(c.state, STEP_PARENT, ESRCH);
    if (map_window(c.shared))
        give_up(c.state, STEP_WINDOW, errno);
    if (set_files(&c))
        give_up(c.state, STEP_FILES, errno);
    if (set_signals())
        give_up(c.state, STEP_SIGNALS, errno);
    if (leave_library())
        give_up(c.state, STEP_THREAD, errno);
    hide_cpu();
    __asm__ volatile("jmp *%0" : : "r"(process_stub_at(process_stub_begin)) : "memory");
    __builtin_unreachable();
}
