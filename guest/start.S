// SPDX-License-Identifier: BSD-2-Clause
// The ways into an image: Ringside's 64-bit entry, and for QEMU, GRUB and Bochs a 32-bit one (PVH and multiboot2). All
// lead to start_common, which makes the state the same whichever it was, and then to start_main() in guest/main.c.
#include "guest/layout.h"
#include "include/guest_abi.h"
#include "x86/regs.h"

#define PHYS(symbol) ((symbol) - KERNEL_VIRT_BASE)
#define CR0_WANTED (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG)
#define EFER_WANTED (EFER_SCE | EFER_LME | EFER_NXE)

// Multiboot2 specification 1.6, 3.1: magic, architecture (i386), length, checksum, tags.
#define MULTIBOOT2_MAGIC 0xe85250d6
#define MULTIBOOT2_TAG_ENTRY 3
        .section .head, "ax"
        .balign 8
multiboot2_header:
        .long   MULTIBOOT2_MAGIC
        .long   0
        .long   multiboot2_end - multiboot2_header
        .long   0x100000000 - (MULTIBOOT2_MAGIC + 0 + (multiboot2_end - multiboot2_header))
        .short  MULTIBOOT2_TAG_ENTRY, 0
        .long   12
        .long   PHYS(start32_multiboot2)
        .balign 8
        .short  0, 0            // end tag
        .long   8
multiboot2_end:

// Xen's public/elfnote.h: the physical address of a 32-bit entry, taken by QEMU's -kernel.
#define XEN_ELFNOTE_PHYS32_ENTRY 18
        .section .note.pvh, "a", @note
        .balign 4
        .long   4, 8, XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .quad   PHYS(start32_pvh)

// 32-bit protected mode, flat segments, paging off; ebx = physical address of the loader's information.
        .text
        .code32
start32_pvh:
        movl    $BOOT_PVH, %edi
        jmp     start32
start32_multiboot2:
        movl    $BOOT_MULTIBOOT2, %edi
start32:
        cli
        cld
        movl    %ebx, %esi
        lgdt    PHYS(gdt_pointer32)

        // Into long mode, SDM vol. 3, 9.8.5: PAE, cr3, EFER.LME, PG. The page tables are linked in, guest/tables.S.
        movl    $CR4_PAE, %eax
        movl    %eax, %cr4
        movl    $PHYS(boot_pml4), %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        xorl    %edx, %edx
        movl    $EFER_WANTED, %eax
        wrmsr
        movl    $CR0_WANTED, %eax
        movl    %eax, %cr0
        ljmp    $KERNEL_CS, $PHYS(start32_long)

        .code64
start32_long:
        movl    %edi, %edi      // the upper halves are undefined after a mode switch
        movl    %esi, %esi
        movq    $start_common, %rax
        jmp     *%rax

// Ringside's entry (guest_abi.h): 64-bit mode, rsi = physical address of struct boot_info.
        .globl  start64
start64:
        movl    $BOOT_RINGSIDE, %edi

// edi = how we were entered, rsi = the loader's information, running in the upper half.
start_common:
        cli
        cld
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $(EFER_SCE | EFER_NXE), %eax // NXE before our tables, which have NX bits
        wrmsr
        movq    $PHYS(boot_pml4), %rax
        movq    %rax, %cr3
        movl    $(CR4_PAE | CR4_PGE), %eax
        movq    %rax, %cr4
        movl    $CR0_WANTED, %eax
        movq    %rax, %cr0

        lgdt    gdt_pointer
        movq    $stack_top, %rsp
        pushq   $KERNEL_CS
        pushq   $1f
        lretq
1:      movl    $KERNEL_DS, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        xorl    %eax, %eax
        movl    %eax, %fs
        movl    %eax, %gs
        lldt    %ax
        xorl    %ebp, %ebp
        call    start_main
        ud2

        .bss
        .balign 16
        .skip   STACK_BYTES
stack_top:

        .section .note.GNU-stack, "", @progbits
