// SPDX-License-Identifier: BSD-2-Clause
// Selectors, stack sizes and other numbers that the library's assembly and its C share.
#ifndef RINGSIDE_GUEST_LAYOUT_H
#define RINGSIDE_GUEST_LAYOUT_H

// The GDT, in Linux's order, which is what syscall and sysret ask for: STAR 47:32 is KERNEL_CS (KERNEL_DS follows it),
// STAR 63:48 is USER_CS32 (USER_DS and USER_CS follow it).
#define KERNEL_CS32 0x08
#define KERNEL_CS 0x10
#define KERNEL_DS 0x18
#define USER_CS32 0x23
#define USER_DS 0x2b
#define USER_CS 0x33
#define TSS_SELECTOR 0x40
#define GDT_BYTES 0x50

// How the image was entered.
#define BOOT_RINGSIDE 0   // 64-bit entry, struct boot_info
#define BOOT_PVH 1        // 32-bit entry, struct hvm_start_info
#define BOOT_MULTIBOOT2 2 // 32-bit entry, multiboot2 information

#define TRAP_STUB_BYTES 16 // trap.S: distance of its 256 entry stubs

#define STACK_BYTES 0x4000
#define TRAP_STACK_BYTES 0x2000
#define USER_STACK_BYTES 0x4000

#define TEXT_WINDOW 0x40000 // image.ld: text, rodata and user segments lie within it, from KERNEL_LOAD_ADDR

#endif
