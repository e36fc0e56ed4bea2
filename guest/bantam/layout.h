// SPDX-License-Identifier: BSD-2-Clause
// Bantam's address space and sizes: what its assembly, its C and its programs' loader agree on. docs/bantam.md draws
// it.
#ifndef RINGSIDE_GUEST_BANTAM_LAYOUT_H
#define RINGSIDE_GUEST_BANTAM_LAYOUT_H

#include "guest/layout.h"

// User memory may be mapped anywhere below USER_TOP: Linux's limit, a page below the canonical hole, so that no system
// call's return address lies in the hole (SDM vol. 2, SYSRET). Where the kernel chooses, it is below 2^39.
#define USER_TOP 0x7ffffffff000
#define STACK_TOP 0x7ffffff000
#define STACK_MOST 0x800000
#define MMAP_TOP 0x7fff000000 // mmap() without an address: down from here

#define DIRECT_MAP 0xffff888000000000 // physical memory, in pages of 2 MiB, as in Linux
#define DIRECT_MAP_BYTES 0x40000000   // what Bantam uses of a bigger machine's RAM
#define PAGE_BYTES 0x1000

#define PROCESSES_MAX 256
#define FILES_MAX 32
#define KERNEL_STACK_BYTES 0x2000
#define AREAS_MAX 64

#define TICK_HZ 100

// Offsets in struct cpu.
#define CPU_KERNEL_SP 0
#define CPU_USER_SP 8
#define CPU_WORK 16
#define CPU_CURRENT 24

#endif
