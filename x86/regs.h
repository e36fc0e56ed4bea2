// SPDX-License-Identifier: BSD-2-Clause
// Bits of the architectural registers, exception vectors and MSR numbers that all engines and the machine agree on.
// Plain #defines so that guest assembly can use them too. Sources: SDM vol. 3, 2.3-2.5 (control registers), 6.15
// (exceptions), vol. 4 (MSRs).
#ifndef RINGSIDE_X86_REGS_H
#define RINGSIDE_X86_REGS_H

// A 64-bit constant: the assembler knows no suffix.
#ifdef __ASSEMBLER__
#define X86_U64(x) x
#else
#define X86_U64(x) x##ull
#endif

// rflags (SDM vol. 1, 3.4.3)
#define FLAG_CF 0x1
#define FLAG_FIXED1 0x2
#define FLAG_PF 0x4
#define FLAG_AF 0x10
#define FLAG_ZF 0x40
#define FLAG_SF 0x80
#define FLAG_TF 0x100
#define FLAG_IF 0x200
#define FLAG_DF 0x400
#define FLAG_OF 0x800
#define FLAG_IOPL 0x3000
#define FLAG_NT 0x4000
#define FLAG_RF 0x10000
#define FLAG_VM 0x20000
#define FLAG_AC 0x40000
#define FLAG_VIF 0x80000
#define FLAG_VIP 0x100000
#define FLAG_ID 0x200000
#define FLAGS_ARITH (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

// cr0
#define CR0_PE 0x1
#define CR0_MP 0x2
#define CR0_EM 0x4
#define CR0_TS 0x8
#define CR0_ET 0x10
#define CR0_NE 0x20
#define CR0_WP 0x10000
#define CR0_AM 0x40000
#define CR0_NW 0x20000000
#define CR0_CD 0x40000000
#define CR0_PG 0x80000000

// cr3
#define CR3_PCID 0xfff
#define CR3_NOFLUSH X86_U64(0x8000000000000000)

// cr4
#define CR4_VME 0x1
#define CR4_PVI 0x2
#define CR4_TSD 0x4
#define CR4_DE 0x8
#define CR4_PSE 0x10
#define CR4_PAE 0x20
#define CR4_MCE 0x40
#define CR4_PGE 0x80
#define CR4_PCE 0x100
#define CR4_OSFXSR 0x200
#define CR4_OSXMMEXCPT 0x400
#define CR4_UMIP 0x800
#define CR4_LA57 0x1000
#define CR4_FSGSBASE 0x10000
#define CR4_PCIDE 0x20000
#define CR4_OSXSAVE 0x40000
#define CR4_SMEP 0x100000
#define CR4_SMAP 0x200000
#define CR4_PKE 0x400000
// What every x86-64 processor has, announced or not (so has KVM).
#define CR4_ALWAYS                                                                                                     \
    (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR |             \
     CR4_OSXMMEXCPT)

// efer
#define EFER_SCE 0x1
#define EFER_LME 0x100
#define EFER_LMA 0x400
#define EFER_NXE 0x800

// Exceptions
#define VEC_DE 0
#define VEC_DB 1
#define VEC_NMI 2
#define VEC_BP 3
#define VEC_OF 4
#define VEC_BR 5
#define VEC_UD 6
#define VEC_NM 7
#define VEC_DF 8
#define VEC_TS 10
#define VEC_NP 11
#define VEC_SS 12
#define VEC_GP 13
#define VEC_PF 14
#define VEC_MF 16
#define VEC_AC 17
#define VEC_MC 18
#define VEC_XM 19

// Page-fault error code (SDM vol. 3, 4.7)
#define PF_PRESENT 0x1
#define PF_WRITE 0x2
#define PF_USER 0x4
#define PF_RSVD 0x8
#define PF_FETCH 0x10

// Page-table entries, 4-level paging (SDM vol. 3, 4.5)
#define PTE_P X86_U64(0x1)
#define PTE_W X86_U64(0x2)
#define PTE_U X86_U64(0x4)
#define PTE_PWT X86_U64(0x8)
#define PTE_PCD X86_U64(0x10)
#define PTE_A X86_U64(0x20)
#define PTE_D X86_U64(0x40)
#define PTE_PS X86_U64(0x80)
#define PTE_G X86_U64(0x100)
#define PTE_NX X86_U64(0x8000000000000000)
#define PTE_ADDR X86_U64(0x000ffffffffff000)

// Segment attributes as struct segment keeps them: the descriptor's bits 40 up, limit left out (SDM vol. 3, 3.4.5)
#define SEG_TYPE 0xf
#define SEG_TYPE_ACCESSED 0x1
#define SEG_TYPE_WRITABLE 0x2
#define SEG_TYPE_EXPAND_DOWN 0x4 // of a data segment
#define SEG_TYPE_CONFORMING 0x4
#define SEG_TYPE_CODE 0x8
#define SEG_S 0x10
#define SEG_DPL 0x60
#define SEG_DPL_SHIFT 5
#define SEG_P 0x80
#define SEG_AVL 0x100
#define SEG_L 0x200
#define SEG_DB 0x400
#define SEG_G 0x800
#define SEG_TYPE_LDT 0x2
#define SEG_TYPE_TSS_AVAILABLE 0x9
#define SEG_TYPE_TSS_BUSY 0xb
#define SEG_TYPE_CALL_GATE 0xc
#define SEG_TYPE_INTERRUPT_GATE 0xe
#define SEG_TYPE_TRAP_GATE 0xf

// MSRs
#define MSR_TSC 0x10
#define MSR_APIC_BASE 0x1b
#define MSR_SYSENTER_CS 0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176
#define MSR_MISC_ENABLE 0x1a0
#define MSR_MTRR_CAP 0xfe
#define MSR_MTRR_DEF_TYPE 0x2ff
#define MSR_PAT 0x277
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_SFMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103
// AMD's four performance counters and what they select, which have been there since its K7 whatever CPUID says (APM
// vol. 2, 13.2): software takes a vendor that is not Intel for AMD. Here they count nothing, and read as 0.
#define MSR_K7_EVNTSEL0 0xc0010000
#define MSR_K7_PERFCTR3 0xc0010007

#define APIC_BASE_BSP 0x100
#define APIC_BASE_X2APIC 0x400
#define APIC_BASE_ENABLE 0x800
#define APIC_DEFAULT_ADDR X86_U64(0xfee00000)
#define IOAPIC_DEFAULT_ADDR X86_U64(0xfec00000)
#define PAT_RESET X86_U64(0x0007040600070406)

#endif
