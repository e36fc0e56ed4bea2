// SPDX-License-Identifier: BSD-2-Clause
// A child of the test's own as the host's CPU: it is stopped under ptrace, shares the window and the code page with the
// test, and goes on from whatever registers it is given to the next signal.
#ifndef RINGSIDE_TESTS_UNIT_TRACED_H
#define RINGSIDE_TESTS_UNIT_TRACED_H

#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cpu/case.h"

// The window and the code page, to be written and executed; false where the addresses are taken.
static inline bool traced_memory(void)
{
    int prot = PROT_READ | PROT_WRITE | PROT_EXEC, flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    return mmap((void *)WINDOW, WINDOW_BYTES, prot, flags, -1, 0) != MAP_FAILED &&
           mmap((void *)CODE, PAGE, prot, flags, -1, 0) != MAP_FAILED;
}

// The child, with the memory as it is mapped now; 0 where the host allows none. The caller kills it.
static inline pid_t traced_child(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFSTOPPED(status) ? child : 0;
}

// Where it goes on: the case's first instruction, with these registers, outside of any system call.
static inline void traced_give(struct user_regs_struct *r, const uint64_t *gpr, uint64_t flags)
{
    r->rax = gpr[RAX], r->rcx = gpr[RCX], r->rdx = gpr[RDX], r->rbx = gpr[RBX];
    r->rsp = gpr[RSP], r->rbp = gpr[RBP], r->rsi = gpr[RSI], r->rdi = gpr[RDI];
    r->rip = INSN_AT, r->eflags = flags, r->orig_rax = -1ull;
}

// The first eight registers.
static inline void traced_take(const struct user_regs_struct *r, uint64_t *gpr)
{
    gpr[RAX] = r->rax, gpr[RCX] = r->rcx, gpr[RDX] = r->rdx, gpr[RBX] = r->rbx;
    gpr[RSP] = r->rsp, gpr[RBP] = r->rbp, gpr[RSI] = r->rsi, gpr[RDI] = r->rdi;
}

#endif
