// SPDX-License-Identifier: BSD-2-Clause
// What lies in the window of a process for directly executed code: for the stub, which is assembly, and for the two
// halves in C. Offsets are from PROCESS_WINDOW. process.c says how all this is used, and why that is safe.
#ifndef RINGSIDE_BT_PROCESS_INSIDE_H
#define RINGSIDE_BT_PROCESS_INSIDE_H

#define WINDOW 0x6ffff0000000 // PROCESS_WINDOW
#define WINDOW_BYTES 0x100000
#define USER_END 0x7ffffffff000

// The stub's text, read and execute; behind it what is shared with the monitor, read and write.
#define IN_TEXT 0x0
#define TEXT_BYTES 0x1000
#define IN_SHARED 0x10000
#define IN_FPU 0x11000 // an image for xrstor, where the registers come from another process
#define FPU_BYTES 0x4000
#define IN_COMMANDS 0x15000
#define IN_FILTER 0x16000 // only until the first guest code runs: it says the secret
#define IN_STACK_A 0x20000
#define IN_STACK_B 0x28000
#define STACK_BYTES 0x8000 // the bit of an address that says which of the two
#define SHARED_BYTES 0x20000

// Fields of the shared page, by cache line. Written by the monitor:
#define P_GO 0x00 // a new value is a message: random, its low bits say what to do
#define P_FPU 0x08
#define P_RIP 0x10
#define P_RFLAGS 0x18
#define P_FS 0x20
#define P_GS 0x28
#define P_SPINS 0x30
// by the stub:
#define P_SAID 0x40 // the value of P_GO that it has seen, and waits for another one
#define P_FRAME 0x48
#define P_FS_WAS 0x50
#define P_GS_WAS 0x58
#define P_STOPS 0x60 // counts the times that guest code was left
#define P_RESULT 0x64
#define P_LATE 0x68 // a kick came while the stub was running
#define P_SLEEPS 0x6c
// by both, seldom:
#define P_ASLEEP 0x80
#define P_COUNT 0x84
#define P_ECHO 0x88
#define P_SECRET 0x90
#define P_GPR 0xc0       // 16 registers to run on with
#define P_LATE_GPR 0x180 // 16 registers, rip and rflags of a stub that a kick has interrupted
#define P_LATE_RIP 0x200
#define P_LATE_RFLAGS 0x208

// The low bits of a message.
#define GO_RUN 0
#define GO_PROVE 1
#define GO_COMMANDS 3
#define GO_BITS 3

// File descriptors there.
#define FD_RAM 0
#define FD_PROOF 1
#define FD_WAKE 2

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

struct process_shared {
    // line 0
    _Atomic uint64_t go;
    uint64_t fpu, rip, rflags, fs, gs;
    _Atomic uint32_t spins;
    uint32_t unused0[3];
    // line 1
    _Atomic uint64_t said;
    uint64_t frame, fs_was, gs_was;
    uint32_t stops;
    int32_t result;
    uint32_t late;
    _Atomic uint32_t sleeps;
    uint32_t unused1[4];
    // line 2
    _Atomic uint32_t asleep;
    uint32_t count;
    uint64_t echo;
    uint64_t secret[2];
    uint32_t unused2[8];
    // line 3
    uint64_t gpr[GPR_COUNT];
    uint64_t unused3[8];
    uint64_t late_gpr[GPR_COUNT], late_rip, late_rflags;
};

// One of the processes, as the monitor sees it.
struct process {
    struct process_pool *pool;
    struct process_shared *shared; // SHARED_BYTES
    int pid;
    int pidfd;
    int proof; // eventfd: what the stub writes there, nobody else can have
    bool dead;
    bool proven;        // it is the stub that runs there, and it waits
    bool signalled;     // ... since the last message
    uint32_t stops;     // already taken
    uint64_t go;        // the last message
    uint64_t frame_fpu; // address there of the vector registers; 0: they are in the CPU, or nowhere
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
    struct process *vectors; // whose vector registers are the guest's; NULL: nobody's yet
    size_t xsave_bytes;
    uint64_t xcr0;
    unsigned random_left;
    uint64_t random[256];
    char died[STOP_LINE];
    uint8_t image[FPU_BYTES] __attribute__((aligned(64)));
    struct process process[];
};

// In process_stub.S, as they lie in the monitor, where nobody runs them.
extern const uint8_t process_stub[], process_stub_end[], process_stub_begin[];
extern const uint8_t process_stub_fault[], process_stub_other[], process_stub_urgent[];
extern const uint8_t process_stub_leave[], process_stub_leave_end[];
extern const uint8_t process_stub_stack_a[], process_stub_stack_b[], process_stub_no_signals[];
// Behind each system call of it.
extern const uint8_t process_stub_did_arm[], process_stub_did_unblock[], process_stub_did_late_arm[],
    process_stub_did_late_unblock[], process_stub_did_prove[], process_stub_did_wake[], process_stub_did_wait[],
    process_stub_did_call[];

static inline uint64_t process_stub_at(const uint8_t *label) // its address in a process
{
    return WINDOW + IN_TEXT + (uint64_t)(label - process_stub);
}

// process_filter.c: the process's seccomp filter, with its secret, into instructions; how many.
#define PROCESS_FILTER_MAX 128
unsigned process_filter(struct sock_filter *out, const uint32_t secret[2]);

// process_pool.c: at the first run.
void process_place(struct process_pool *pool);

// process_child.c: in the child, from fork on; never returns.
struct process_child {
    int parent, memfd, shared, proof, wake;
    struct process_shared *page; // the monitor's mapping, inherited
};
_Noreturn void process_child(const struct process_child *c);
// What the child was doing when it gave up, by page->frame.
const char *process_child_step(uint64_t step);

#endif
#endif
