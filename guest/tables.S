// SPDX-License-Identifier: BSD-2-Clause
// Descriptor table and page tables as they are linked into the image: writing them at run time would cost thousands of
// instructions, which matters where an engine needs microseconds for each.
#include "guest/layout.h"
#include "include/guest_abi.h"
#include "x86/regs.h"

#define PHYS(symbol) ((symbol) - KERNEL_VIRT_BASE)
#define TABLE (PTE_P | PTE_W | PTE_U | PTE_A) // rights are the leaf's business
#define LEAF (PTE_P | PTE_W | PTE_A | PTE_D)


        .data
        .balign 16
        .globl  gdt
gdt:    .quad   0
        .quad   0x00cf9b000000ffff // KERNEL_CS32
        .quad   0x00af9b000000ffff // KERNEL_CS
        .quad   0x00cf93000000ffff // KERNEL_DS
        .quad   0x00cffb000000ffff // USER_CS32
        .quad   0x00cff3000000ffff // USER_DS
        .quad   0x00affb000000ffff // USER_CS
        .quad   0
        .quad   0, 0               // TSS, filled in by descriptors_init()

        .balign 8
        .globl  gdt_pointer
gdt_pointer:
        .short  GDT_BYTES - 1
        .quad   gdt
        .balign 4
        .globl  gdt_pointer32
gdt_pointer32:
        .short  GDT_BYTES - 1
        .long   PHYS(gdt)

        .section .page_tables, "aw"
        .balign 4096
        .globl  boot_pml4
boot_pml4:
        .quad   PHYS(low_pdpt) + TABLE
        .fill   510, 8, 0
        .quad   PHYS(high_pdpt) + TABLE

// Identity map of the low 4 GiB in 2 MiB pages, for CPL 0. The topmost GiB holds devices: uncached.
low_pdpt:
        .quad   PHYS(low_pd) + TABLE, PHYS(low_pd) + 0x1000 + TABLE
        .quad   PHYS(low_pd) + 0x2000 + TABLE, PHYS(low_pd) + 0x3000 + TABLE
        .fill   508, 8, 0
low_pd:
        .set    address, 0
        .rept   1536
        .quad   address + LEAF + PTE_PS
        .set    address, address + 0x200000
        .endr
        .rept   512
        .quad   address + LEAF + PTE_PS + PTE_PCD + PTE_PWT
        .set    address, address + 0x200000
        .endr

// KERNEL_VIRT_BASE to physical 0 for 1 GiB: 4 KiB pages for the first 4 MiB, where the image is, 2 MiB pages above.
// Global as in Linux. Executable only in the text window, which paging_init() narrows down to text.
high_pdpt:
        .fill   510, 8, 0
        .quad   PHYS(high_pd) + TABLE
        .quad   0
high_pd:
        .quad   PHYS(high_pt) + TABLE, PHYS(high_pt) + 0x1000 + TABLE
        .set    address, 0x400000
        .rept   510
        .quad   PTE_NX + address + LEAF + PTE_PS + PTE_G
        .set    address, address + 0x200000
        .endr
        .globl  high_pt
high_pt:
        .set    address, 0
        .rept   1024
        .if     address >= KERNEL_LOAD_ADDR && address < KERNEL_LOAD_ADDR + TEXT_WINDOW
        .quad   address + LEAF + PTE_G
        .else
        .quad   PTE_NX + address + LEAF + PTE_G
        .endif
        .set    address, address + 0x1000
        .endr

        .section .note.GNU-stack, "", @progbits
