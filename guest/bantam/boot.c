// SPDX-License-Identifier: BSD-2-Clause
// From the guest library's image_main() to process 1: what the CPU offers is switched on, the low identity map goes,
// the kernel's tables, traps and timer are set up. Short: some engines need microseconds for an instruction.
#include "guest/bantam/kernel.h"
#include "guest/insn.h"

IMAGE_OF_PROGRAMS("bantam");

#define CPUID_FEATURES 1
#define CPUID_ECX_PCID (1u << 17)
#define CPUID_EXTENDED 7
#define CPUID_EBX_SMEP (1u << 7)
#define CPUID_EBX_SMAP (1u << 20)

extern uint64_t boot_pml4[], direct_pdpt[]; // guest/tables.S, entry.S

bool has_pcid, has_smap;

#define AT(name, type, member) _Static_assert(name == offsetof(type, member), #name)
AT(FRAME_R11, struct trap_frame, r11);
AT(FRAME_RCX, struct trap_frame, rcx);
AT(FRAME_RAX, struct trap_frame, rax);
AT(FRAME_VECTOR, struct trap_frame, vector);
AT(FRAME_RIP, struct trap_frame, rip);
AT(FRAME_CS, struct trap_frame, cs);
AT(FRAME_RFLAGS, struct trap_frame, rflags);
AT(FRAME_RSP, struct trap_frame, rsp);
AT(CPU_KERNEL_SP, struct cpu, kernel_sp);
AT(CPU_USER_SP, struct cpu, user_sp);
AT(CPU_WORK, struct cpu, work);
AT(CPU_CURRENT, struct cpu, current);
_Static_assert(FRAME_BYTES == sizeof(struct trap_frame), "FRAME_BYTES");

static void map_kernel(void)
{
    boot_pml4[DIRECT_SLOT] = phys_of(direct_pdpt) | PTE_P | PTE_W | PTE_A;
    boot_pml4[0] = 0; // user memory is there from now on
    write_cr3(phys_of(boot_pml4));
}

static void switch_features_on(void)
{
    uint64_t cr4 = read_cr4();
    has_pcid = cpuid(CPUID_FEATURES, 0).ecx & CPUID_ECX_PCID;
    uint32_t extended = cpuid(0, 0).eax >= CPUID_EXTENDED ? cpuid(CPUID_EXTENDED, 0).ebx : 0;
    has_smap = extended & CPUID_EBX_SMAP;
    cr4 |= has_pcid ? CR4_PCIDE : 0;
    cr4 |= extended & CPUID_EBX_SMEP ? CR4_SMEP : 0;
    cr4 |= has_smap ? CR4_SMAP : 0;
    write_cr4(cr4);
}

int image_main(void)
{
    map_kernel();
    switch_features_on();
    fpu_init();
    write_msr(MSR_GS_BASE, (uint64_t)&cpu);
    write_msr(MSR_KERNEL_GS_BASE, 0);
    pages_init();
    traps_init();
    time_init();
    process_start_first();
}
