// SPDX-License-Identifier: BSD-2-Clause
// The boundary between a guest image and whatever runs it: compiled by both sides. Ports exist in Ringside and do no
// harm under QEMU, in Bochs or on a PC; a guest never asks which of them it runs on.
#ifndef RINGSIDE_GUEST_ABI_H
#define RINGSIDE_GUEST_ABI_H

// A 64-bit constant: the assembler knows no suffix.
#ifdef __ASSEMBLER__
#define RS1_U64(x) x
#else
#define RS1_U64(x) x##ull
#endif

// ---- Ports ----
#define PORT_POST 0x80             // POST code: the port of the `in` and `out` benchmarks
#define PORT_SERIAL 0x3f8          // 16550, IRQ 4
#define PORT_DEBUG_EXIT 0xf4       // as QEMU's isa-debug-exit: writing v ends the run; 0 means success
#define PORT_MARK 0x2e0            // a 32-bit write of MARK(kind, id): counters are read here
#define PORT_BOCHS_SHUTDOWN 0x8900 // Bochs ends when "Shutdown" is written to it, byte by byte

// ---- Marks ----
// A benchmark frames what it measures: BEGIN n, the loop, END. The monitor reads its counters at both, outside the
// guest's own time measurement. id is the count's index: 0 for the run of n, 1 for the run of 2n.
#define MARK_BEGIN 1u
#define MARK_END 2u
#define MARK(kind, id) (((unsigned)(kind) << 8) | (unsigned)(id))
#define MARK_KIND(value) ((value) >> 8)
#define MARK_ID(value) ((value)&0xffu)

// ---- Serial line format ----
// Results leave the guest as lines on the first serial port, one record a line, `key=value` separated by one space,
// first word "rs1" (the format's version) and the record's kind. All numbers decimal. Anything else is free text.
//
//   rs1 begin name=NAME
//     The image has started.
//   rs1 cold name=NAME tsc=T
//     First pass of one iteration: T cycles, timer overhead included.
//   rs1 run name=NAME n=N
//     A timed run of N iterations starts when this line ends, and the next line comes right after it. For whoever times
//     the lines' arrival by a clock of the host, where the guest's TSC does not follow time (Bochs).
//   rs1 warm name=NAME n=N t1=T t2=T e1=T e2=T
//     One repetition, in TSC cycles: n iterations took t1, 2n took t2; an empty loop of the same shape took e1 and e2.
//     One iteration costs ((t2 - t1) - (e2 - e1)) / n, signed: noise may make it negative where it is about 0.
//   rs1 value name=NAME value=V
//     The benchmark's own result (checksum), equal on every engine and natively.
//   rs1 check name=NAME ok=0|1 [what=TEXT]
//     One self-check of a test image. TEXT runs to the line's end, here and below.
//   rs1 skip name=NAME why=TEXT
//     Something that the (virtual) CPU does not offer.
//   rs1 end name=NAME status=S
//     The last line. 0: all well.
#define RS1_PREFIX "rs1 "

// ---- Entry ----
// Ringside enters e_entry in 64-bit mode as the 64-bit Linux boot protocol does: flat segments (CS 0x10, DS 0x18),
// interrupts off, paging on with memory identity-mapped below 4 GiB and [0xffffffff80000000, 2^64) mapped to
// physical 0 up, rsi = physical address of struct boot_info. Images also carry a PVH note and a multiboot2 header.
#define BOOT_INFO_MAGIC RS1_U64(0x3173725f676e6972) // "ring_rs1"
#define KERNEL_VIRT_BASE RS1_U64(0xffffffff80000000)
#define KERNEL_LOAD_ADDR RS1_U64(0x100000) // images are linked at KERNEL_VIRT_BASE + this, or above

// What the loader keeps below 1 MiB; images must not load there.
#define BOOT_INFO_ADDR RS1_U64(0x7000)
#define BOOT_CMDLINE_ADDR RS1_U64(0x7800) // at most 2 KiB with its NUL
#define BOOT_GDT_ADDR RS1_U64(0x6000)
#define BOOT_PAGE_TABLES_ADDR RS1_U64(0x10000)

#ifndef __ASSEMBLER__
#include <stdint.h>
struct boot_info {
    uint64_t magic;
    uint64_t ram_bytes;
    uint64_t cmdline; // physical address of a NUL-terminated string
};
#endif

// ---- Command line words that every image understands ----
//   reps=N     warm repetitions (default 10)
//   cycles=N   what calibration makes the run of n take at least, in TSC cycles (default 2000000)
//   n=N        no calibration: n is N

#endif
