// SPDX-License-Identifier: BSD-2-Clause
// The interpreter's event delivery: frames, privilege, stacks, errors on the way, double and triple faults, NMIs,
// interrupt shadows, single steps (SDM vol. 3, chapter 6).
#include "tests/unit/interp_guest.h"

CODE_BYTES(int_21, "int $0x21; hlt");
CODE_BYTES(breakpoint, "int3");
CODE_BYTES(int_1, ".byte 0xf1");
CODE_BYTES(undefined, "ud2");
CODE_BYTES(divide, "xorl %ecx, %ecx; divl %ecx");
CODE_BYTES(load_absent, "movl 0x800000, %eax");
CODE_BYTES(halt, "hlt");
CODE_BYTES(nops, "nop; nop; hlt");
CODE_BYTES(sti_nop, "sti; nop; nop; hlt");
CODE_BYTES(load_ss, "movl $0x10, %eax; sti; nop; movl %eax, %ss; nop; hlt");
CODE_BYTES(system_call, "syscall; nop; hlt");
CODE_BYTES(system_return, "sysretq");
CODE_BYTES(interrupt_return, "iretq");

static struct guest g;

static void frames(void)
{
    START(&g, 0, int_21);
    g.s.rflags |= FLAG_IF | FLAG_NT | FLAG_CF;
    g.s.gpr[RSP] = STACK + 5;
    CHECK_EQ(guest_vector(&g), 0x21);
    CHECK_EQ(g.s.gpr[RSP], STACK - 40); // aligned to 16 before five pushes
    CHECK_EQ(frame(&g, F_RIP), CODE + 2);
    CHECK_EQ(frame(&g, F_CS), CS0);
    CHECK_EQ(frame(&g, F_RFLAGS), FLAG_FIXED1 | FLAG_IF | FLAG_NT | FLAG_CF);
    CHECK_EQ(frame(&g, F_RSP), STACK + 5);
    CHECK_EQ(frame(&g, F_SS), SS0);
    CHECK_EQ(g.s.rflags, FLAG_FIXED1 | FLAG_CF);
    CHECK_EQ(g.s.seg[SEG_SS].selector, SS0);
    CHECK_EQ(get(&g, GDT + CS0) >> 40 & 0xff, 0x9b); // accessed now

    START(&g, 0, int_21);
    set_gate(&g, 0x21, SEG_TYPE_TRAP_GATE, 0, 1);
    g.s.rflags |= FLAG_IF;
    CHECK_EQ(guest_vector(&g), 0x21);
    CHECK_EQ(g.s.gpr[RSP], IST1 - 40);
    CHECK(g.s.rflags & FLAG_IF);
    CHECK_EQ(g.s.seg[SEG_SS].selector, SS0); // no change of privilege

    START(&g, 3, load_absent);
    CHECK_EQ(guest_vector(&g), VEC_PF);
    CHECK_EQ(g.s.gpr[RSP], (RSP0 & ~15) - 48);
    CHECK_EQ(get(&g, g.s.gpr[RSP]), PF_USER);
    CHECK_EQ(g.s.cr2, 0x800000);
    CHECK_EQ(frame_after_error(&g, F_RIP), USER_CODE);
    CHECK_EQ(frame_after_error(&g, F_CS), CS3);
    CHECK_EQ(frame_after_error(&g, F_RFLAGS), FLAG_FIXED1 | FLAG_RF); // a fault
    CHECK_EQ(frame_after_error(&g, F_RSP), USER_STACK);
    CHECK_EQ(frame_after_error(&g, F_SS), SS3);
    CHECK(g.s.seg[SEG_SS].selector == 0 && g.s.seg[SEG_SS].unusable && !(g.s.seg[SEG_SS].attr & SEG_DPL));
    CHECK_EQ(g.s.seg[SEG_CS].selector, CS0);
}

// Gates that refuse: what is delivered in place of the event, its error code, and the rip it points to.
static void refused(void)
{
    START(&g, 3, int_21); // DPL 0
    CHECK_EQ(guest_vector(&g), VEC_GP);
    CHECK_EQ(get(&g, g.s.gpr[RSP]), 0x21 * 8 + 2);
    CHECK_EQ(frame_after_error(&g, F_RIP), USER_CODE);

    START(&g, 3, int_1); // as a hardware exception: no DPL check
    CHECK_EQ(guest_vector(&g), VEC_DB);
    CHECK_EQ(frame(&g, F_RIP), USER_CODE + 1);

    START(&g, 3, breakpoint);
    set_gate(&g, VEC_BP, SEG_TYPE_TRAP_GATE, 3, 0);
    CHECK_EQ(guest_vector(&g), VEC_BP);
    CHECK_EQ(frame(&g, F_RIP), USER_CODE + 1);

    START(&g, 0, int_21);
    g.s.idtr.limit = 0x21 * 16 + 14;
    CHECK_EQ(guest_vector(&g), VEC_GP);
    CHECK_EQ(get(&g, g.s.gpr[RSP]), 0x21 * 8 + 2);

    START(&g, 0, undefined); // not present, and a hardware exception: EXT
    put(&g, IDT + VEC_UD * 16, get(&g, IDT + VEC_UD * 16) & ~((uint64_t)SEG_P << 40));
    CHECK_EQ(guest_vector(&g), VEC_NP);
    CHECK_EQ(get(&g, g.s.gpr[RSP]), VEC_UD * 8 + 2 + 1);
    CHECK_EQ(frame_after_error(&g, F_RIP), CODE);

    START(&g, 0, int_21); // a 32-bit handler
    put(&g, IDT + 0x21 * 16, (get(&g, IDT + 0x21 * 16) & ~0xffff0000ull) | USER32 << 16);
    CHECK_EQ(guest_vector(&g), VEC_GP);
    CHECK_EQ(get(&g, g.s.gpr[RSP]), USER32);

    START(&g, 3, int_21); // the TSS ends before rsp0 does
    set_gate(&g, 0x21, SEG_TYPE_INTERRUPT_GATE, 3, 0);
    set_gate(&g, VEC_TS, SEG_TYPE_INTERRUPT_GATE, 0, 0);
    g.s.tr.limit = 10;
    CHECK_EQ(guest_go(&g), VCPU_EXIT_SHUTDOWN); // #TS, then #TS twice more

    START(&g, 0, int_21); // the stack ends at the end of the lower half
    g.s.gpr[RSP] = 0xffff800000000000;
    set_gate(&g, VEC_SS, SEG_TYPE_INTERRUPT_GATE, 0, 1);
    CHECK_EQ(guest_vector(&g), VEC_SS);
    CHECK_EQ(get(&g, g.s.gpr[RSP]), 0);
    CHECK_EQ(frame_after_error(&g, F_RSP), 0xffff800000000000);
}

static void absent(unsigned vector)
{
    put(&g, IDT + vector * 16, get(&g, IDT + vector * 16) & ~((uint64_t)SEG_P << 40));
}

// SDM vol. 3, table 6-5.
static void double_faults(void)
{
    START(&g, 0, divide); // contributory, contributory
    absent(VEC_DE);
    CHECK_EQ(guest_vector(&g), VEC_DF);
    CHECK_EQ(get(&g, g.s.gpr[RSP]), 0);

    START(&g, 0, load_absent); // page fault, contributory
    absent(VEC_PF);
    CHECK_EQ(guest_vector(&g), VEC_DF);

    START(&g, 0, divide); // contributory, page fault
    absent(VEC_DE);
    absent(VEC_NP);
    absent(VEC_DF);
    CHECK_EQ(guest_go(&g), VCPU_EXIT_SHUTDOWN);

    START(&g, 0, int_21); // the stack is not mapped: int n is benign, #PF in #PF is not
    g.s.gpr[RSP] = 0x800000;
    set_gate(&g, VEC_DF, SEG_TYPE_INTERRUPT_GATE, 0, 1);
    CHECK_EQ(guest_vector(&g), VEC_DF);
    CHECK_EQ(g.s.cr2, 0x800000 - 8);
    CHECK_EQ(frame_after_error(&g, F_RIP), CODE);

    START(&g, 0, nops); // an external interrupt is benign, whatever its vector
    absent(VEC_GP);
    g.vector = VEC_GP;
    g.s.rflags |= FLAG_IF;
    engine_interp.set_intr(&g.vcpu, true);
    CHECK_EQ(guest_vector(&g), VEC_NP);
    CHECK_EQ(get(&g, g.s.gpr[RSP]), VEC_GP * 8 + 2 + 1);
}

// The kernel's stack on a user page: SMAP refuses the pushes, even with AC set by the user (SDM vol. 3, 4.6.1).
static void smap(void)
{
    START(&g, 3, int_21);
    set_gate(&g, 0x21, SEG_TYPE_INTERRUPT_GATE, 3, 0);
    set_gate(&g, VEC_PF, SEG_TYPE_INTERRUPT_GATE, 0, 1);
    put(&g, TSS + 4, USER_STACK - 0x1000);
    g.s.cr4 |= CR4_SMAP;
    g.s.rflags |= FLAG_AC;
    CHECK_EQ(guest_vector(&g), VEC_PF);
    CHECK_EQ(get(&g, g.s.gpr[RSP]), PF_PRESENT | PF_WRITE);
    CHECK_EQ(g.s.cr2, USER_STACK - 0x1000 - 8);
}

// The next run begins by setting g->s, which a pending NMI is part of.
static void inject_nmi(struct guest *guest)
{
    struct vcpu_state state;
    engine_interp.inject_nmi(&guest->vcpu);
    engine_interp.get_state(&guest->vcpu, &state);
    guest->s.nmi_pending = state.nmi_pending;
}

static void nmi(void)
{
    static const uint8_t return_and_halt[] = {0x48, 0xcf}; // iretq
    START(&g, 0, nops);
    inject_nmi(&g);
    CHECK_EQ(guest_vector(&g), VEC_NMI);
    CHECK(g.s.nmi_masked);
    CHECK_EQ(frame(&g, F_RIP), CODE);

    inject_nmi(&g); // waits for the iretq
    memcpy(ram(&g, g.s.rip), return_and_halt, sizeof return_and_halt);
    g.s.halted = false;
    uint64_t rsp = g.s.gpr[RSP];
    CHECK_EQ(guest_vector(&g), VEC_NMI);
    CHECK_EQ(g.s.gpr[RSP], rsp); // from CODE again, with the first one's frame gone
    CHECK_EQ(frame(&g, F_RIP), CODE);
}

// CS is judged before SS:RSP are read: seen on Intel's processors, which do not come to the page that is not there.
static void iret_order(void)
{
    const uint64_t end = 0x400000, rsp = end - 24;
    for (unsigned good = 0; good < 2; good++) {
        START(&g, 3, interrupt_return);
        put(&g, rsp, USER_CODE);
        put(&g, rsp + 8, good ? CS3 : SS3);
        put(&g, rsp + 16, FLAG_FIXED1);
        g.s.gpr[RSP] = rsp;
        CHECK_EQ(guest_vector(&g), good ? VEC_PF : VEC_GP);
        CHECK_EQ(get(&g, g.s.gpr[RSP]), good ? PF_USER : SS3 & ~3);
        CHECK_EQ(g.s.cr2, good ? end : 0);
        CHECK_EQ(frame_after_error(&g, F_RSP), rsp);
    }
}

static void interrupt_waits(void)
{
    g.vector = 0x40;
    engine_interp.set_intr(&g.vcpu, true);
}

static void shadows(void)
{
    START(&g, 0, nops); // IF clear: it goes on waiting
    interrupt_waits();
    CHECK_EQ(guest_go(&g), VCPU_EXIT_HALT);
    CHECK_EQ(g.s.rip, CODE + 3);

    START(&g, 0, sti_nop);
    interrupt_waits();
    CHECK_EQ(guest_vector(&g), 0x40);
    CHECK_EQ(frame(&g, F_RIP), CODE + 2); // behind the nop

    START(&g, 0, sti_nop); // the nop is on another page
    memcpy(ram(&g, CODE + 0xfff), sti_nop, 4);
    g.s.rip = CODE + 0xfff;
    interrupt_waits();
    CHECK_EQ(guest_vector(&g), 0x40);
    CHECK_EQ(frame(&g, F_RIP), CODE + 0x1001);

    START(&g, 0, sti_nop); // IF was set: no shadow
    g.s.rflags |= FLAG_IF;
    interrupt_waits();
    CHECK_EQ(guest_vector(&g), 0x40);
    CHECK_EQ(frame(&g, F_RIP), CODE);

    START(&g, 0, load_ss);
    g.s.rflags |= FLAG_TF;
    CHECK_EQ(guest_vector(&g), VEC_DB);
    CHECK_EQ(frame(&g, F_RIP), CODE + 5);
    g.s.rip = CODE + 7; // at the load of ss: its trap comes one instruction late
    g.s.rflags |= FLAG_TF;
    g.s.halted = false;
    CHECK_EQ(guest_vector(&g), VEC_DB);
    CHECK_EQ(frame(&g, F_RIP), CODE + 10);
}

static void single_steps(void)
{
    START(&g, 0, int_21); // int n clears TF: no trap behind it
    g.s.rflags |= FLAG_TF;
    CHECK_EQ(guest_vector(&g), 0x21);
    CHECK(!(g.s.dr6 & 0x4000));

    START(&g, 0, halt); // a hlt is left by its trap
    g.s.rflags |= FLAG_TF;
    CHECK_EQ(guest_vector(&g), VEC_DB);
    CHECK_EQ(frame(&g, F_RIP), CODE + 1);
    CHECK(g.s.dr6 & 0x4000);

    for (unsigned masked = 0; masked < 2; masked++) {
        START(&g, 3, system_call);
        g.s.rflags |= FLAG_TF | FLAG_CF | FLAG_ZF;
        g.s.sfmask = FLAG_CF | (masked ? FLAG_TF : 0);
        g.s.lstar = HANDLERS + 0x80 * 16;
        g.s.star = (uint64_t)CS0 << 32;
        CHECK_EQ(guest_vector(&g), masked ? 0x80 : VEC_DB);
        CHECK_EQ(g.s.gpr[R11], FLAG_FIXED1 | FLAG_TF | FLAG_CF | FLAG_ZF);
        CHECK_EQ(g.s.gpr[RCX], USER_CODE + 2);
        if (masked)
            CHECK_EQ(g.s.rflags, FLAG_FIXED1 | FLAG_ZF);
    }

    START(&g, 0, system_return);
    memcpy(ram(&g, USER_CODE), nops, 3);
    g.s.star = (uint64_t)(CS3 - 16) << 48;
    g.s.gpr[R11] = FLAG_TF | FLAG_RF | FLAG_VM | FLAG_ID;
    g.s.gpr[RCX] = USER_CODE;
    CHECK_EQ(guest_vector(&g), VEC_DB);
    CHECK_EQ(frame(&g, F_RIP), USER_CODE); // before the first instruction there
    CHECK_EQ(frame(&g, F_CS), CS3);
    CHECK_EQ(frame(&g, F_SS), SS3);
    CHECK_EQ(frame(&g, F_RFLAGS), FLAG_FIXED1 | FLAG_TF | FLAG_ID);
}

int main(void)
{
    frames();
    refused();
    double_faults();
    smap();
    nmi();
    iret_order();
    shadows();
    single_steps();
    guest_free(&g);
    return check_done("interp_events");
}
