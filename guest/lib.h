// SPDX-License-Identifier: BSD-2-Clause
// The guest library's face: what an image may call. An image is one file that defines image_main(); start code,
// descriptor tables, paging and the serial line are ready when it is called, at CPL 0 with interrupts off.
#ifndef RINGSIDE_GUEST_LIB_H
#define RINGSIDE_GUEST_LIB_H

#include "guest/program.h"
#include "x86/regs.h"

void print_bytes(const char *bytes, size_t size); // as they are

// ---- Benchmarks ----
// bench_run() with body called at CPL 3, on a user stack.
void bench_run_user(const char *name, bench_fn *body, void *ctx);
// bench_run() for a body that uses up something: before each timed run prepare(n) sets up n iterations' worth, untimed.
// No run has more than `most` iterations.
void bench_run_prepared(const char *name, bench_fn *body, bench_prepare_fn *prepare, uint64_t most, void *ctx);

// ---- Exceptions and interrupts ----
// What a handler sees; it may change anything, e.g. rip to go on elsewhere. Pushed by guest/trap.S.
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
typedef void trap_fn(struct trap_frame *frame);
void trap_set(unsigned vector, trap_fn *fn); // through the common stub, all registers saved
void idt_set_raw(unsigned vector, void (*entry)(void), unsigned ist,
                 unsigned dpl);                     // the gate itself, for a bare handler
void tss_set_ist(unsigned ist, uint64_t stack_top); // ist 1..7
void tss_set_rsp0(uint64_t stack_top);

// Runs fn(arg); where an exception comes, gives its vector (and error code, and cr2), else -1.
struct caught {
    int vector;
    uint64_t error, cr2, rip;
};
struct caught catch_fault(void (*fn)(void *), void *arg);

// Runs fn(arg) at CPL 3 and comes back when it returns (by int in the library's stub: LSTAR is the image's to set).
// User code and data are mapped with PTE_U by map_page, or linked as USER_CODE and USER_DATA. Not re-entrant.
uint64_t run_user(uint64_t (*fn)(void *), void *arg);
#define USER_CODE __attribute__((section(".user.text"), noinline))
#define USER_DATA __attribute__((section(".user.data")))

_Noreturn void power_off(int status); // image_exit() without a record

// ---- Memory ----
uint64_t ram_end(void); // of the RAM that the image is in, from 1 MiB on without a hole, as the loader told
// The image's own page tables: identity map of the low 4 GiB (CPL 0), upper half at KERNEL_VIRT_BASE with 4 KiB pages
// for the image. page_alloc gives zeroed 4 KiB pages, physical address = virtual - KERNEL_VIRT_BASE.
void *page_alloc(void);
uint64_t phys_of(const void *p);
void map_page(uint64_t va, uint64_t pa, uint64_t flags); // 4 KiB, makes missing levels (with U and W set there)
uint64_t *pte_of(uint64_t va, unsigned level);           // entry at level 1 (4 KiB) to 4 (PML4E), NULL where absent

// ---- Instructions ----
// in/out, cr, msr, invlpg, cpuid, ... are static inlines in guest/insn.h.

#endif
