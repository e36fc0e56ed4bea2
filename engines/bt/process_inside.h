// SPDX-License-Identifier: BSD-2-Clause
// What lies in the window of a process for directly executed code: for the stub, which is assembly, and for the two
// halves in C. Offsets are from PROCESS_WINDOW. process.c says how all this is used, and why that is safe.
#ifndef RINGSIDE_BT_PROCESS_INSIDE_H
#define RINGSIDE_BT_PROCESS_INSIDE_H

#define WINDOW 0x6ffff0000000 // PROCESS_WINDOW
#define WINDOW_BYTES 0x100000
#define USER_END 0x7ffffffff000

// The stub's text, read and execute.
#define IN_TEXT 0x0
#define TEXT_BYTES 0x1000
// What is shared with the monitor: one file of SHARED_BYTES. Its first part is mapped read-only in the process.
#define IN_SHARED 0x10000
#define IN_TOLD 0x10000
#define IN_COMMANDS 0x11000
#define IN_FPU 0x12000 // an image for xrstor, where the registers come from another process
#define FPU_BYTES 0x4000
#define IN_FILTER 0x16000 // only until the first guest code runs: it says the secret
#define IN_STATE 0x18000
#define IN_STACK_A 0x20000
#define IN_STACK_B 0x28000
#define STACK_BYTES 0x8000 // the bit of an address that says which of the two
#define SHARED_BYTES 0x20000

// struct process_told, by the monitor.
#define T_GO 0x00 // a new value is a message: random, its low bits say what to do
#define T_FPU 0x08
#define T_RIP 0x10
#define T_RFLAGS 0x18
#define T_FS 0x20
#define T_GS 0x28
#define T_SPINS 0x30
#define T_GPR 0x40
#define T_COUNT 0xc0
#define T_SECRET 0xc8
#define T_XCR0 0xd8 // the components of the state that an image for xrstor has

// struct process_state, by the stub.
#define S_FRAME 0x00
#define S_FS 0x08
#define S_GS 0x10
#define S_STOPS 0x18  // counts the times that guest code was left
#define S_RESULT 0x1c // of commands
#define S_DONE 0x20   // the message that they came with
#define S_LATE 0x28   // a kick came while the stub was running
#define S_SLEEPS 0x2c
#define S_ECHO 0x30     // the message that it answers, for the eventfd
#define S_HINT 0x38     // ... and for whoever wants to be told early: worth nothing
#define S_LATE_GPR 0x40 // of a stub that a kick has interrupted
#define S_LATE_RIP 0xc0
#define S_LATE_RFLAGS 0xc8
#define S_ENTERED 0xd0 // TSC when it went to guest code last, and when it was back
#define S_LEFT 0xd8

// The low bits of a message.
#define GO_RUN 0
#define GO_ANSWER 1
#define GO_COMMANDS 3
#define GO_BITS 3
#define MESSAGE_RESERVED (1ull << 63) // an eventfd does not take all of them

// A kick that is not for the stub to put off (SIGUSR2).
#define STOP_SIGNAL 12

// File descriptors there.
#define FD_RAM 0
#define FD_SAID 1

// A signal's frame as the kernel lays it out, from rsp at the handler's entry.
#define FRAME_UC 8
#define FRAME_MC 48 // registers: r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags
#define FRAME_INFO 312
#define FRAME_BYTES 440

#define PROCESS_STEP_STUB 100 // of setting up, and up: the stub's; below: process_child.c's

#ifndef __ASSEMBLER__
#include <linux/filter.h>
#include <stdatomic.h>

#include "engines/bt/process.h"

struct process_call { // a system call that the stub is to make
    uint64_t arg[6];
    uint64_t number;
    uint64_t unused;
};

struct process_told {
    _Atomic uint64_t go;
    uint64_t fpu, rip, rflags, fs, gs;
    _Atomic uint32_t spins;
    uint32_t unused[3];
    uint64_t gpr[GPR_COUNT];
    uint64_t count;
    uint64_t secret[2];
    uint64_t xcr0;
};

struct process_state {
    uint64_t frame, fs, gs;
    uint32_t stops;
    int32_t result;
    _Atomic uint64_t done;
    uint32_t late;
    _Atomic uint32_t sleeps;
    uint64_t echo;
    _Atomic uint64_t hint;
    uint64_t late_gpr[GPR_COUNT], late_rip, late_rflags;
    uint64_t entered, left;
};

// One of the processes, as the monitor sees it.
struct process {
    struct process_pool *pool;
    uint8_t *shared; // SHARED_BYTES, and in them:
    struct process_told *told;
    struct process_state *state;
    int pid;
    int pidfd;
    int said; // eventfd: the messages that have been answered, through the kernel
    bool dead;
    bool signalled;   // since the last message
    uint32_t stops;   // already taken
    uint64_t go;      // the last message
    uint64_t vectors; // address there of an image of the vector registers; 0: none
    uint32_t secret[2];
    unsigned queued;
    struct process_command queue[PROCESS_COMMANDS];
};

#define STOP_LINE 160

struct process_pool {
    unsigned count;
    int wake;                // eventfd: the thread in process_run() shall look
    _Atomic uint32_t asleep; // it may be sleeping
    bool placed;             // CPUs have been chosen
    bool one_cpu;            // for all of them and the monitor
    struct process *last;    // that ran
    struct process *vectors; // whose vector registers are the guest's; NULL: image is
    size_t xsave_bytes;      // of an image with the components of
    uint64_t xcr0;           // ... which the kernel saves in signal frames
    unsigned random_left;
    uint64_t random[256];
    char died[STOP_LINE];
    uint8_t image[FPU_BYTES] __attribute__((aligned(64)));
    struct process process[];
};

// In process_stub.S, as they lie in the monitor, where nobody runs them.
extern const uint8_t process_stub[], process_stub_end[], process_stub_begin[];
extern const uint8_t process_stub_stop[], process_stub_urgent[];
extern const uint8_t process_stub_leave[], process_stub_leave_end[];
extern const uint8_t process_stub_stack_a[], process_stub_stack_b[], process_stub_no_signals[];
// Behind each system call of it.
extern const uint8_t process_stub_did_arm[], process_stub_did_unblock[], process_stub_did_late_arm[],
    process_stub_did_late_unblock[], process_stub_did_say[], process_stub_did_wait[], process_stub_did_call[];

static inline uint64_t process_stub_at(const uint8_t *label) // its address in a process
{
    return WINDOW + IN_TEXT + (uint64_t)(label - process_stub);
}

// process.c: a new process, tried out. False: it refuses, or has died.
bool process_obeys(struct process *p);

// process_filter.c: the process's seccomp filter, with its secret, into instructions; how many.
#define PROCESS_FILTER_MAX 256
unsigned process_filter(struct sock_filter *out, const uint32_t secret[2]);

// process_pool.c: at the first run.
void process_place(struct process_pool *pool);

// process_child.c: in the child, from fork on; never returns.
struct process_child {
    int parent, memfd, shared, said;
    struct process_state *state; // in the monitor's mapping, inherited
};
_Noreturn void process_child(const struct process_child *c);
// What the child was doing when it gave up, by state->frame.
const char *process_child_step(uint64_t step);

#endif
#endif
