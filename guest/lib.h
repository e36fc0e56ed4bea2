// SPDX-License-Identifier: BSD-2-Clause
// The guest library's face: what an image may call. An image is one file that defines image_main(); start code,
// descriptor tables, paging and the serial line are ready when it is called, at CPL 0 with interrupts off.
#ifndef RINGSIDE_GUEST_LIB_H
#define RINGSIDE_GUEST_LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/guest_abi.h"
#include "x86/regs.h"

extern const char image_name[]; // defined by IMAGE(); the name in every record
#define IMAGE(name) const char image_name[] = name

// Return value becomes the image's status (0: all well, 2: panic).
int image_main(void);

// ---- Console: the 16550, polled ----
void print(const char *format, ...) __attribute__((format(printf, 1, 2))); // %s %c %d %u %x with l/ll/z, width, 0
_Noreturn void image_exit(int status);                                     // prints the end record, leaves the run
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *option(const char *key); // value of key= on the command line, NULL where absent
uint64_t option_u64(const char *key, uint64_t otherwise);

// ---- Benchmarks ----
// body runs its subject n times. bench_run prints cold, calibrates, prints `reps` warm records, with marks around
// each run of n and of 2n.
typedef void bench_fn(uint64_t n, void *ctx);
void bench_run(const char *name, bench_fn *body, void *ctx);
// The same with body called at CPL 3, on a user stack.
void bench_run_user(const char *name, bench_fn *body, void *ctx);
// The same for a body that uses up something: before each timed run prepare(n) sets up n iterations' worth, untimed. No
// run has more than `most` iterations.
typedef void bench_prepare_fn(uint64_t n, void *ctx);
void bench_run_prepared(const char *name, bench_fn *body, bench_prepare_fn *prepare, uint64_t most, void *ctx);
void bench_value(const char *name, uint64_t value); // the benchmark's own result, to be the same everywhere
uint64_t tsc_begin(void);                           // fenced: rdtscp/rdtsc and lfence, as MEASURING demands
uint64_t tsc_end(void);

// ---- Self-checks of test images ----
// CHECK records one check; a failed one makes the image's status 1 but goes on.
void check_record(bool ok, const char *what, uint64_t got, uint64_t want);
#define CHECK(cond) check_record(!!(cond), #cond, 0, 0)
#define CHECK_EQ(got, want)                                                                                            \
    ({                                                                                                                 \
        uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);                                                     \
        check_record(got_ == want_, #got " == " #want, got_, want_);                                                   \
    })
void skip(const char *why);

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

// ---- Memory ----
// The image's own page tables: identity map of the low 4 GiB (CPL 0), upper half at KERNEL_VIRT_BASE with 4 KiB pages
// for the image. page_alloc gives zeroed 4 KiB pages, physical address = virtual - KERNEL_VIRT_BASE.
void *page_alloc(void);
uint64_t phys_of(const void *p);
void map_page(uint64_t va, uint64_t pa, uint64_t flags); // 4 KiB, makes missing levels (with U and W set there)
uint64_t *pte_of(uint64_t va, unsigned level);           // entry at level 1 (4 KiB) to 4 (PML4E), NULL where absent

// ---- Instructions ----
// in/out, cr, msr, invlpg, cpuid, ... are static inlines in guest/insn.h.

#endif
