// SPDX-License-Identifier: BSD-2-Clause
// A host process in which a guest's user code runs as it is: the paper's direct execution. One such process stands for
// one guest address space; guest user address va is its own address va. It is made before the engine gives up its
// system calls, and reused when an address space goes.
//
// Whoever runs there can read and write all of that process, so nothing that it says is believed beyond what a guest
// program could do anyway, and it can do nothing to the host: Syscall User Dispatch sends every system call that is not
// made by the stub to the monitor, and a seccomp filter refuses the stub's unless they carry a secret. The secret lies
// in the process only while the stub, and no guest code, can be running there: the monitor hands it over together with
// memory commands, and only after the kernel has vouched that the stub is what runs (process.c says how).
#ifndef RINGSIDE_BT_PROCESS_H
#define RINGSIDE_BT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/vcpu_state.h"
#include "x86/regs.h"

// The stub, its stack and the page it shares with the monitor lie here in every such process. Guest programs cannot
// have these addresses: who wants to is translated.
#define PROCESS_WINDOW 0x6ffff0000000ull
#define PROCESS_WINDOW_BYTES 0x100000ull
// Guest user addresses that the host lets a process have.
#define PROCESS_LOWEST 0x10000ull
#define PROCESS_HIGHEST 0x7ffffffff000ull

struct process;
struct process_pool;

struct process_regs {
    uint64_t gpr[GPR_COUNT]; // numbered as instructions do
    uint64_t rip, rflags;    // of rflags, what CPL 3 may change; TF comes out, but does not go in
    uint64_t fs_base, gs_base;
};

// A change to the process's memory, in the order given, before it runs on.
enum process_op {
    PROCESS_MAP,     // guest RAM at ram_offset, shared, replacing what is there; populate: entered into page tables now
    PROCESS_UNMAP,   // what is mapped there; nothing may be
    PROCESS_PROTECT, // prot for what is mapped there
};
struct process_command {
    uint64_t va, bytes; // within [PROCESS_LOWEST, PROCESS_HIGHEST), not in the window
    uint64_t ram_offset;
    uint8_t op, prot; // PROT_*
    bool populate;
};
#define PROCESS_COMMANDS 64u // as many can wait

enum process_stop {
    PROCESS_SYSCALL,   // syscall: regs->rip is behind it, rcx and r11 are as the instruction leaves them
    PROCESS_EXCEPTION, // info says which: rip at the instruction for faults, behind it for traps (#DB, #BP)
    PROCESS_KICKED,    // *attention was not 0: the process has been interrupted between two instructions
    PROCESS_REFUSED,   // the host did not carry out a command (out of areas, memory): drop all and try again
    PROCESS_DIED,      // it has been killed from outside, or has made itself unable to go on (pool's `died` says)
};
struct process_info {
    unsigned vector; // VEC_*: what the host's CPU raised; VEC_UD for system calls by other ways than `syscall`
    uint32_t error;
    uint64_t address; // cr2, where vector is VEC_PF
};

// count processes that map guest RAM from memfd. Needs fork, prctl, seccomp, pidfd_open: call it before the engine
// contains itself. NULL with one line in err where the host lacks something (Syscall User Dispatch: Linux 5.11).
struct process_pool *process_pool_create(int memfd, unsigned count, char *err, size_t err_size);
void process_pool_destroy(struct process_pool *pool); // kills and reaps
struct process *process_at(struct process_pool *pool, unsigned i);

// One that no longer has any guest memory mapped, before its next run; the queue is emptied first.
void process_clear(struct process *p);
// False: the queue is full; process_clear() and begin anew.
bool process_queue(struct process *p, const struct process_command *command);

// Vector and FPU registers go from one process to the next as on one CPU, until they are taken, and from what was given
// last to the process that runs next. An image is what xsave writes in standard form, XSAVE_BYTES of it: x87, SSE, AVX.
// What comes from a process has still to be looked at before it is loaded.
void process_give_vectors(struct process_pool *pool, const uint8_t *image);
void process_take_vectors(struct process_pool *pool, uint8_t *image);

// Runs guest code from *regs until something happens, having carried out what is queued; *regs is then what the guest's
// registers are. The caller waits by spinning
// for a bounded time, then sleeps; *attention (written by others, then process_wake()) interrupts.
enum process_stop process_run(struct process *p, struct process_regs *regs, const volatile uint32_t *attention,
                              struct process_info *info);
// TSC cycles that guest code had in the last process_run(), as the process says: to reckon with, not to rely on.
uint64_t process_ran(const struct process *p);
// *attention has been set: wake the thread in process_run(), if there is one. Async-signal-safe, any thread.
void process_wake(struct process_pool *pool);
// One line about the process that died, for people.
const char *process_died(const struct process_pool *pool);

#endif
