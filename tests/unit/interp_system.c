// SPDX-License-Identifier: BSD-2-Clause
// The interpreter's system instructions where a guest image cannot look: permission bitmaps at their limits, string I/O
// that a device interrupts, call gates with a change of privilege, registers' reserved bits, counters.
#include "tests/unit/interp_guest.h"

CODE_BYTES(in_dx, "inb %dx, %al; hlt");
CODE_BYTES(inl_dx, "inl %dx, %eax; hlt");
CODE_BYTES(out_then_nop, "outb %al, $0x80; nop; nop; hlt");
CODE_BYTES(rep_outsw, "rep outsw; hlt");
CODE_BYTES(rep_insb, "rep insb; hlt");
CODE_BYTES(ins_short, "addr32 insl; hlt");
CODE_BYTES(through_gate, "lcall *0x200100; nop");
CODE_BYTES(far_back, "rex.w lret $16");
CODE_BYTES(set_cr0, "movq %rax, %cr0; hlt");
CODE_BYTES(set_cr3, "movq %rax, %cr3; hlt");
CODE_BYTES(set_cr4, "movq %rax, %cr4; hlt");
CODE_BYTES(set_cr8, "movq %rax, %cr8; hlt");
CODE_BYTES(set_dr6, "movq %rax, %dr6; hlt");
CODE_BYTES(set_dr7, "movq %rax, %dr7; hlt");
CODE_BYTES(get_dr5, "movq %db5, %rax; hlt");
CODE_BYTES(write_msr, "wrmsr; hlt");
CODE_BYTES(read_msr, "rdmsr; hlt");
CODE_BYTES(get_cpuid, "cpuid; hlt");
CODE_BYTES(get_tsc, "rdtsc; hlt");
CODE_BYTES(inval_pcid, "invpcid 0x9000, %rax; hlt");
CODE_BYTES(far_jump, "ljmp *0x9000");
CODE_BYTES(set_vif, "sti; cli; sti; ud2");
CODE_BYTES(there_and_back, "nop; syscall; nop; ud2");
CODE_BYTES(kernel_side, "nop; nop; sysretq");

static struct guest g;

// ---- Port I/O ----

static int in_from(unsigned port, unsigned tss_limit)
{
    START(&g, 3, in_dx);
    g.s.gpr[RDX] = port;
    g.s.tr.limit = tss_limit;
    ram(&g, TSS + IO_MAP)[port / 8] &= (uint8_t) ~(1u << port % 8);
    return guest_vector(&g);
}

static void permissions(void)
{
    // hlt faults at CPL 3: then the in before it has worked.
    CHECK(in_from(0x45, TSS_LIMIT) == VEC_GP && g.reads == 1 && g.last_port == 0x45);
    CHECK_EQ(frame_after_error(&g, F_RIP), USER_CODE + 1);
    CHECK_EQ(g.s.gpr[RAX], 0x11);
    CHECK(in_from(0x45, IO_MAP + 0x45 / 8 + 1) == VEC_GP && g.reads == 1); // both bytes of the map are inside
    CHECK(in_from(0x45, IO_MAP + 0x45 / 8) == VEC_GP && g.reads == 0);
    CHECK(in_from(0x45, 102) == VEC_GP && g.reads == 0); // no room for the map's offset

    START(&g, 3, inl_dx); // all four ports must be allowed, across the byte
    g.s.gpr[RDX] = 0x46;
    ram(&g, TSS + IO_MAP)[8] = 0x3f;
    ram(&g, TSS + IO_MAP)[9] = 0xfc;
    CHECK(guest_vector(&g) == VEC_GP && g.reads == 1);
    START(&g, 3, inl_dx);
    g.s.gpr[RDX] = 0x46;
    ram(&g, TSS + IO_MAP)[8] = 0x3f;
    ram(&g, TSS + IO_MAP)[9] = 0xfe;
    CHECK(guest_vector(&g) == VEC_GP && g.reads == 0);

    START(&g, 3, in_dx); // IOPL
    g.s.rflags |= FLAG_IOPL;
    CHECK(guest_vector(&g) == VEC_GP && g.reads == 1);
}

static void devices(void)
{
    START(&g, 0, out_then_nop); // the device's interrupt comes behind the out
    g.interrupt_at_out = true;
    g.vector = 0x50;
    g.s.rflags |= FLAG_IF;
    CHECK_EQ(guest_vector(&g), 0x50);
    CHECK_EQ(frame(&g, F_RIP), CODE + 2);
    CHECK_EQ(g.vcpu.counters.n[EV_exit_pio], 1);

    START(&g, 0, out_then_nop);
    g.write_answer = VCPU_EXIT_MARK;
    CHECK_EQ(guest_go(&g), VCPU_EXIT_MARK);
    CHECK_EQ(g.s.rip, CODE + 2);
    CHECK_EQ(g.vcpu.counters.n[EV_exit_mark], 1);
    CHECK_EQ(g.vcpu.counters.n[EV_exits], 1);

    START(&g, 0, rep_outsw); // stops at each element, and goes on
    g.write_answer = VCPU_EXIT_MARK;
    g.s.gpr[RCX] = 3;
    g.s.gpr[RSI] = 0x9000;
    put(&g, 0x9000, 0x0000333322221111);
    for (unsigned i = 1; i <= 3; i++) {
        CHECK_EQ(guest_go(&g), VCPU_EXIT_MARK);
        CHECK_EQ(g.s.gpr[RCX], 3 - i);
        CHECK_EQ(g.s.gpr[RSI], 0x9000 + 2 * i);
        CHECK_EQ(g.last_value, 0x1111 * i);
        CHECK_EQ(g.s.rip, i < 3 ? CODE : CODE + 3);
    }

    START(&g, 0, rep_insb); // into a page that is not there: the port is not read in vain
    g.s.gpr[RCX] = 4;
    g.s.gpr[RDI] = 0x3ffffe;
    CHECK_EQ(guest_vector(&g), VEC_PF);
    CHECK_EQ(g.reads, 2);
    CHECK_EQ(g.s.gpr[RCX], 2);
    CHECK_EQ(g.s.gpr[RDI], 0x400000);
    CHECK_EQ(g.s.cr2, 0x400000);
    CHECK_EQ(frame_after_error(&g, F_RIP), CODE);

    START(&g, 0, ins_short); // 32-bit addresses wrap, and clear the upper half
    g.s.gpr[RDI] = 0x500009004;
    g.s.rflags |= FLAG_DF;
    CHECK_EQ(guest_go(&g), VCPU_EXIT_HALT);
    CHECK_EQ(g.s.gpr[RDI], 0x9000);
    CHECK_EQ(get(&g, 0x9004), 0x44332211);
}

// ---- Call gates ----

static void gates(void)
{
    START(&g, 3, through_gate);
    put(&g, USER + 0x100, (uint64_t)CALL_GATE << 32 | 0x12345678); // its offset means nothing
    *ram(&g, GATE_TARGET) = 0xf4;
    CHECK_EQ(guest_go(&g), VCPU_EXIT_HALT);
    CHECK_EQ(g.s.rip, GATE_TARGET + 1);
    CHECK_EQ(g.s.gpr[RSP], RSP0 - 32); // not aligned here
    CHECK_EQ(get(&g, RSP0 - 8), SS3);
    CHECK_EQ(get(&g, RSP0 - 16), USER_STACK);
    CHECK_EQ(get(&g, RSP0 - 24), CS3);
    CHECK_EQ(get(&g, RSP0 - 32), USER_CODE + 7);
    CHECK(g.s.seg[SEG_CS].selector == CS0 && g.s.seg[SEG_SS].selector == 0);

    memcpy(ram(&g, GATE_TARGET + 1), far_back, (size_t)(far_back_end - far_back)); // and back, dropping parameters
    put(&g, RSP0 - 32 + 32, USER_STACK - 0x100);
    put(&g, RSP0 - 32 + 40, SS3);
    *ram(&g, USER_CODE + 7) = 0x0f; // ud2
    *ram(&g, USER_CODE + 8) = 0x0b;
    g.s.halted = false;
    g.s.seg[SEG_FS].base = 0x1234;
    CHECK_EQ(guest_vector(&g), VEC_UD);
    CHECK_EQ(frame(&g, F_RSP), USER_STACK - 0x100 + 16);
    CHECK_EQ(frame(&g, F_CS), CS3);
    CHECK(g.s.seg[SEG_DS].unusable && g.s.seg[SEG_ES].unusable); // DPL 0
    CHECK(g.s.seg[SEG_FS].unusable && g.s.seg[SEG_FS].base == 0x1234);

    START(&g, 3, through_gate); // its upper half is beyond the table
    put(&g, USER + 0x100, (uint64_t)CALL_GATE << 32);
    g.s.gdtr.limit = CALL_GATE + 14;
    CHECK_EQ(guest_vector(&g), VEC_GP);
    CHECK_EQ(get(&g, g.s.gpr[RSP]), CALL_GATE);

    START(&g, 0, far_jump); // to 32-bit code
    put(&g, 0x9000, (uint64_t)USER32 << 32);
    CHECK_EQ(guest_vector(&g), VEC_GP); // DPL 3
    START(&g, 0, far_jump);
    put(&g, GDT + USER32, 0x00cf9a000000ffff);
    put(&g, 0x9000, (uint64_t)USER32 << 32 | 0x9100);
    put(&g, 0x9100, 0xf49090); // nop, nop, hlt
    CHECK_EQ(guest_go(&g), VCPU_EXIT_HALT);
    CHECK_EQ(g.s.rip, 0x9103);
    CHECK(g.s.seg[SEG_CS].selector == USER32 && !(g.s.seg[SEG_CS].attr & SEG_L));
}

// ---- Registers ----

// Runs code with this value in rax: true where it gets to its hlt.
static bool takes(const uint8_t *code, const uint8_t *end, uint64_t rax, uint64_t cr4)
{
    guest_start(&g, 0, code, end);
    g.s.gpr[RAX] = rax;
    g.s.cr4 |= cr4;
    int vector = guest_vector(&g);
    return vector != VEC_GP && g.s.rip == CODE + (uint64_t)(end - code);
}
#define TAKES(name, rax, cr4) takes(name, name##_end, rax, cr4)

static void control_registers(void)
{
    CHECK(TAKES(set_cr0, CR0_PE | CR0_PG | CR0_WP | CR0_AM | 0x40, 0));
    CHECK_EQ(g.s.cr0, CR0_PE | CR0_PG | CR0_WP | CR0_AM | CR0_ET); // reserved bits below 32 are ignored
    CHECK(!TAKES(set_cr0, CR0_PE | CR0_PG | 1ull << 32, 0));
    CHECK(!TAKES(set_cr0, CR0_PE, 0));
    CHECK(!TAKES(set_cr0, CR0_PG, 0));
    CHECK(!TAKES(set_cr0, CR0_PE | CR0_PG | CR0_NW, 0));
    CHECK(TAKES(set_cr0, CR0_PE | CR0_PG | CR0_NW | CR0_CD, 0));

    CHECK(TAKES(set_cr3, PML4 | 0x18, 0) && g.s.cr3 == (PML4 | 0x18));
    CHECK(!TAKES(set_cr3, PML4 | 1ull << 46, 0));
    CHECK(!TAKES(set_cr3, PML4 | CR3_NOFLUSH, 0));
    CHECK(TAKES(set_cr3, PML4 | CR3_NOFLUSH | 5, CR4_PCIDE) && g.s.cr3 == (PML4 | 5));
    CHECK_EQ(g.vcpu.counters.n[EV_tlb_flushes], 1);

    CHECK(TAKES(set_cr4, CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_SMEP | CR4_SMAP | CR4_PCIDE | CR4_FSGSBASE, 0));
    CHECK(!TAKES(set_cr4, CR4_PGE, 0));
    CHECK(!TAKES(set_cr4, CR4_PAE | CR4_UMIP, 0)); // not announced
    CHECK(!TAKES(set_cr4, CR4_PAE | CR4_OSXSAVE, 0));
    CHECK(!TAKES(set_cr4, CR4_PAE | CR4_LA57, 0));

    CHECK(!TAKES(set_cr8, 16, 0));
    START(&g, 0, set_cr8);
    g.s.gpr[RAX] = 5;
    g.vcpu.tpr_threshold = 6;
    CHECK(guest_go(&g) == VCPU_EXIT_HALT && g.s.cr8 == 5 && g.tpr_lowered == 1);
}

static void debug_registers(void)
{
    CHECK(TAKES(set_dr6, 0xffff, 0) && g.s.dr6 == 0xffffefff); // bit 12 is always clear
    CHECK(TAKES(set_dr7, 0xffffffff, 0) && g.s.dr7 == 0xffff27ff);
    CHECK(!TAKES(set_dr6, 1ull << 32, 0));
    CHECK(TAKES(get_dr5, 0, 0) && g.s.gpr[RAX] == 0x400);
    START(&g, 0, get_dr5);
    g.s.cr4 |= CR4_DE;
    CHECK_EQ(guest_vector(&g), VEC_UD);
    START(&g, 0, set_dr6); // general detect
    g.s.dr7 |= 0x2000;
    CHECK_EQ(guest_vector(&g), VEC_DB);
    CHECK_EQ(frame(&g, F_RIP), CODE);
    CHECK((g.s.dr6 & 0x2000) && !(g.s.dr7 & 0x2000));
}

static bool msr_takes(uint32_t index, uint64_t v)
{
    START(&g, 0, write_msr);
    g.s.gpr[RCX] = index;
    g.s.gpr[RAX] = (uint32_t)v;
    g.s.gpr[RDX] = v >> 32;
    return guest_vector(&g) != VEC_GP && g.s.rip == CODE + 3;
}

static void msrs(void)
{
    const uint64_t bad_address = 1ull << 47;
    CHECK(msr_takes(MSR_EFER, EFER_LME | EFER_NXE) && g.s.efer == (EFER_LME | EFER_LMA | EFER_NXE));
    CHECK(!msr_takes(MSR_EFER, EFER_NXE)); // LME while paging is on
    CHECK(!msr_takes(MSR_EFER, EFER_LME | 1u << 12));
    CHECK(msr_takes(MSR_PAT, 0x0706050400010406) && g.s.pat == 0x0706050400010406);
    CHECK(!msr_takes(MSR_PAT, 0x0706050400010206));
    CHECK(!msr_takes(MSR_PAT, 0x0806050400010406));
    static const uint32_t addresses[] = {MSR_LSTAR,        MSR_CSTAR,          MSR_FS_BASE,     MSR_GS_BASE,
                                         MSR_SYSENTER_EIP, MSR_KERNEL_GS_BASE, MSR_SYSENTER_ESP};
    for (unsigned i = 0; i < sizeof addresses / sizeof *addresses; i++)
        CHECK(!msr_takes(addresses[i], bad_address) && msr_takes(addresses[i], ~0ull << 47));
    CHECK(msr_takes(MSR_TSC_AUX, 7) && g.s.tsc_aux == 7);
    CHECK(!msr_takes(MSR_TSC_AUX, 1ull << 32));
    CHECK(msr_takes(MSR_APIC_BASE, 0xfee00100) && g.apic_written == 1);
    CHECK(!msr_takes(MSR_APIC_BASE, 0xfee00800 | APIC_BASE_X2APIC));
    CHECK(!msr_takes(0x12345, 0));

    START(&g, 0, read_msr);
    g.s.gpr[RCX] = 0x12345;
    CHECK_EQ(guest_vector(&g), VEC_GP);
    START(&g, 0, read_msr); // upper halves of rax and rdx are cleared
    g.s.gpr[RCX] = 0x5500000000 | MSR_STAR;
    g.s.gpr[RAX] = g.s.gpr[RDX] = ~0ull;
    g.s.star = 0x1122334455667788;
    CHECK(guest_go(&g) == VCPU_EXIT_HALT && g.s.gpr[RAX] == 0x55667788 && g.s.gpr[RDX] == 0x11223344);
}

static void cpuid_leaf(uint32_t leaf, uint32_t subleaf)
{
    START(&g, 0, get_cpuid);
    g.s.gpr[RAX] = leaf;
    g.s.gpr[RCX] = subleaf;
    CHECK_EQ(guest_go(&g), VCPU_EXIT_HALT);
}

static void features(void)
{
    cpuid_leaf(0x1, 99); // no subleaves: ecx does not matter
    CHECK_EQ(g.s.gpr[RDX], 1u << 9);
    cpuid_leaf(0x7, 1);
    CHECK_EQ(g.s.gpr[RBX], 0);
    cpuid_leaf(0x5, 0); // within range, but nothing there
    CHECK_EQ(g.s.gpr[RAX] | g.s.gpr[RBX], 0);
    cpuid_leaf(0x50, 0); // out of range: the highest basic leaf
    CHECK_EQ(g.s.gpr[RBX], 1u << 0 | 1u << 7 | 1u << 10 | 1u << 20);
    cpuid_leaf(0x80000009, 0);
    CHECK_EQ(g.s.gpr[RBX], 1u << 0 | 1u << 7 | 1u << 10 | 1u << 20);

    START(&g, 3, get_tsc);
    g.s.cr4 |= CR4_TSD;
    CHECK_EQ(guest_vector(&g), VEC_GP);
    CHECK_EQ(frame_after_error(&g, F_RIP), USER_CODE);

    START(&g, 3, set_vif); // CR4.PVI: sti at CPL 3 sets VIF, and VIP makes it a fault
    g.s.cr4 |= CR4_PVI;
    CHECK_EQ(guest_vector(&g), VEC_UD);
    CHECK_EQ(frame(&g, F_RFLAGS), FLAG_FIXED1 | FLAG_RF | FLAG_VIF);
    START(&g, 3, set_vif);
    g.s.cr4 |= CR4_PVI;
    g.s.rflags |= FLAG_VIP;
    CHECK_EQ(guest_vector(&g), VEC_GP);
}

static bool invpcid_takes(uint64_t type, uint64_t pcid, uint64_t address, uint64_t cr4)
{
    START(&g, 0, inval_pcid);
    g.s.gpr[RAX] = type;
    g.s.cr4 |= cr4;
    put(&g, 0x9000, pcid);
    put(&g, 0x9008, address);
    return guest_vector(&g) != VEC_GP && g.s.rip == CODE + (uint64_t)(inval_pcid_end - inval_pcid);
}

static void invpcid(void)
{
    CHECK(invpcid_takes(0, 0, 0x1000, 0) && g.vcpu.counters.n[EV_tlb_invlpgs] == 1);
    CHECK(!invpcid_takes(0, 5, 0x1000, 0));
    CHECK(invpcid_takes(0, 5, 0x1000, CR4_PCIDE));
    CHECK(!invpcid_takes(0, 0, 1ull << 47, 0));
    CHECK(!invpcid_takes(1, 0x1000, 0, CR4_PCIDE));
    CHECK(invpcid_takes(1, 5, 1ull << 47, CR4_PCIDE) && g.vcpu.counters.n[EV_tlb_flushes] == 1);
    CHECK(invpcid_takes(2, 5, 0, 0) && invpcid_takes(3, 0, 0, 0));
    CHECK(!invpcid_takes(4, 0, 0, 0));
    CHECK(!invpcid_takes(1ull << 32, 0, 0, 0));
}

// Instructions on each side of syscall and sysret: those two count on the side where they begin.
static void counts(void)
{
    START(&g, 3, there_and_back);
    memcpy(ram(&g, CODE), kernel_side, (size_t)(kernel_side_end - kernel_side));
    g.s.lstar = CODE;
    g.s.star = (uint64_t)(CS3 - 16) << 48 | (uint64_t)CS0 << 32;
    CHECK_EQ(guest_vector(&g), VEC_UD);
    struct counters n;
    engine_interp.counters(&g.vcpu, &n);
    CHECK_EQ(n.n[EV_insns_user], 3);       // nop, syscall, nop
    CHECK_EQ(n.n[EV_insns_kernel], 3 + 1); // nop, nop, sysret; the handler's hlt
    CHECK_EQ(n.n[EV_syscalls], 1);
    CHECK_EQ(n.n[EV_exceptions], 1);
}

int main(void)
{
    permissions();
    devices();
    gates();
    control_registers();
    debug_registers();
    msrs();
    features();
    invpcid();
    counts();
    guest_free(&g);
    return check_done("interp_system");
}
