// SPDX-License-Identifier: BSD-2-Clause
// Bantam's address space and sizes: what its assembly, its C and its programs' loader agree on. docs/bantam.md draws
// it.
#ifndef RINGSIDE_GUEST_BANTAM_LAYOUT_H
#define RINGSIDE_GUEST_BANTAM_LAYOUT_H

#include "guest/layout.h"
#include "include/guest_abi.h"
#include "x86/regs.h"

// User memory may be mapped anywhere below USER_TOP: Linux's limit, a page below the canonical hole, so that no system
// call's return address lies in the hole (SDM vol. 2, SYSRET). Where the kernel chooses, it is below 2^39.
#define USER_TOP 0x7ffffffff000
#define STACK_TOP 0x7ffffff000
#define STACK_MOST 0x800000
#define MMAP_TOP 0x7fff000000 // mmap() without an address: down from here

#define DIRECT_MAP 0xffff888000000000 // physical memory, in pages of 2 MiB, as in Linux
#define DIRECT_MAP_BYTES 0x40000000   // what Bantam uses of a bigger machine's RAM
#define PAGE_BYTES 0x1000
#define KERNEL_SLOT 511 // of the PML4: the image
#define DIRECT_SLOT 273 // DIRECT_MAP

#define PROCESSES_MAX 256
#define FILES_MAX 32
#define KERNEL_STACK_BYTES 0x2000
#define DEBUG_STACK_BYTES 0x400
#define AREAS_MAX 64

#define TICK_HZ 100

// trap frames: entry stubs for exceptions and the 8259s' vectors; a system call's frame has a vector of its own.
#define IRQ_BASE 0x20
#define ENTRY_STUBS 0x30
#define SYSCALL_VECTOR 0x100
#define SYSCALL_TABLE_SIZE 232 // the highest number of Linux's that syscalls.def has, and 1
#define USER_ACCESS_FAILED 14  // EFAULT

// Offsets in struct trap_frame; boot.c checks them, and those in struct cpu.
#define FRAME_BYTES 176
#define FRAME_R11 32
#define FRAME_RCX 96
#define FRAME_RAX 112
#define FRAME_VECTOR 120
#define FRAME_RIP 136
#define FRAME_CS 144
#define FRAME_RFLAGS 152
#define FRAME_RSP 160

// The bits of rflags that a program may choose when it comes back from a signal's handler.
#define FLAGS_USER (FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_AC | FLAG_ID)

// Offsets in struct cpu.
#define CPU_KERNEL_SP 0
#define CPU_USER_SP 8
#define CPU_WORK 16
#define CPU_CURRENT 24

#endif
