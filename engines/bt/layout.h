// SPDX-License-Identifier: BSD-2-Clause
// How a 64-bit kernel fits into a user process: who lives where in the host's 47-bit address space. Also for assembly.
//
// A guest-virtual address g is reached at host address g + BT_BIAS modulo 2^64, with BT_BIAS in the host's gs base, so
// that a memory operand needs no more than a gs prefix:
//   guest [0, 2^39)                      -> [BT_BIAS, BT_VMM_START)
//   guest [2^39, 2^40 - 4096]            -> [BT_VMM_START, 2^47): the monitor itself; such accesses must not happen
//   guest [2^40, 2^47)                   -> not canonical: the host faults, and the access goes through a page walk
//   guest [0xffff800000000000, + 2^40)   -> the host kernel's half: likewise
//   guest [0xffff810000000000, 2^64)     -> wraps to [0, BT_BIAS)
// So the program, its libraries, heap and stacks have to live at BT_VMM_START and above (docs/bt.md says how).
#ifndef RINGSIDE_BT_LAYOUT_H
#define RINGSIDE_BT_LAYOUT_H

#define BT_BIAS 0x7f0000000000
#define BT_VMM_START 0x7f8000000000
#define BT_VMM_END 0x800000000000

// The engine's own region: struct bt at its start, stubs and the translation cache behind it, all within reach of a
// rip-relative operand of translated code. One for each process: signal handlers find the engine by this address.
#define BT_REGION 0x7fd040000000

// Tables that translated code reaches by a 32-bit address and an index, with no register for their start: in the lowest
// 2 MiB of the host's address space, of which guest kernels get nothing (map_reaches). In the fast world that is guest
// address 0xffff810000080000 and up, a second place that is the monitor's own.
#define BT_LOW 0x80000
#define BT_TARGETS BT_LOW // bt->targets of the fast world
#define BT_RETURNS 0x100000
#define BT_TLB 0x180000 // tlb.h
#define BT_LOW_END 0x190000

#endif
