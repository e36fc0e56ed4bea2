// SPDX-License-Identifier: BSD-2-Clause
// A hostile guest: random system instructions on random registers, descriptors, gates, page tables and stacks. Whatever
// they do, the interpreter keeps to its budget, ends in a way that the interface knows, and keeps what long mode
// demands of its registers. Under the sanitizers this is also the search for accesses outside the guest's RAM.
#include "tests/unit/interp_guest.h"

enum { CASES = 400, BUDGET = 300, RUNS = 4, INSTRUCTIONS = 24 };

static struct guest g;
static uint64_t seed;

static uint64_t random64(void) // xorshift64
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}
static bool one_in(unsigned n)
{
    return random64() % n == 0;
}

static uint64_t wild_address(void)
{
    switch (random64() % 10) {
    case 0:
        return random64();
    case 1:
        return 0xffff800000000000 - random64() % 16;
    case 2:
        return 0x7ffffffffff8 + random64() % 16;
    case 3:
        return RAM_BYTES - random64() % 16;
    case 4:
        return APIC_DEFAULT_ADDR + random64() % 4096;
    case 5:
        return GDT + random64() % 0x60;
    case 6:
        return RAM_BYTES + random64() % (1 << 20);
    default:
        return random64() % RAM_BYTES;
    }
}

// Beginnings of instructions; up to five random bytes follow each.
static const char *const openings[] = {
    "\x0f\x01", "\x0f\x02", "\x0f\x03", "\x0f\x05",     "\x0f\x07",     "\x0f\x20", "\x0f\x22", "\x0f\x21",
    "\x0f\x23", "\x0f\x30", "\x0f\x32", "\x0f\xa1",     "\x0f\xa9",     "\x0f\xb2", "\x0f\xb4", "\x8e",
    "\x8c",     "\xcd",     "\xcf",     "\x48\xcf",     "\xcb",         "\x48\xcb", "\xca",     "\xff",
    "\x48\xff", "\xf1",     "\xfa",     "\xfb",         "\xf4",         "\x6c",     "\xf3\x6d", "\xf3\x6e",
    "\x6f",     "\xec",     "\xe7",     "\x66\x0f\x38", "\xf3\x0f\xae", "\x0f\xc7", "\x9d",     "\x9c",
    "\xf3\xa4", "\xf3\xaa", "\x0f\x06", "\xc8",         "\xc9",         "\x8f",     "\x50",     "\x58",
    "\xc3",     "\xe8",     "\x0f",     "\xf2",         "\x66",         "\x64",     "\x67",     "\x4c",
};

static void random_code(uint64_t at)
{
    for (unsigned i = 0; i < INSTRUCTIONS; i++) {
        const char *opening = openings[random64() % (sizeof openings / sizeof *openings)];
        size_t n = strlen(opening);
        memcpy(ram(&g, at), opening, n);
        at += n;
        for (uint64_t more = one_in(8) ? 5 : random64() % 2; more; more--)
            *ram(&g, at++) = (uint8_t)random64();
    }
}

static void random_registers(unsigned cpl)
{
    static const uint32_t msrs[] = {MSR_APIC_BASE, MSR_PAT,     MSR_EFER,    MSR_STAR,    MSR_LSTAR,
                                    MSR_SFMASK,    MSR_FS_BASE, MSR_GS_BASE, MSR_TSC_AUX, MSR_TSC};
    static const uint64_t values[] = {CR0_PE | CR0_PG, CR4_PAE | CR4_SMAP, PML4, CS0, SS0, TR, CALL_GATE, CS3};
    struct vcpu_state *s = &g.s;
    for (unsigned i = 0; i < GPR_COUNT; i++)
        s->gpr[i] = one_in(3) ? random64() % 300 : wild_address();
    s->gpr[RCX] = one_in(2) ? msrs[random64() % (sizeof msrs / sizeof *msrs)] : s->gpr[RCX];
    s->gpr[RAX] = one_in(2) ? values[random64() % (sizeof values / sizeof *values)] : s->gpr[RAX];
    if (!one_in(4))
        s->gpr[RSP] = (cpl ? USER_STACK : STACK) - random64() % 64;
    s->rflags |= random64() & (FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_AC | FLAGS_ARITH | FLAG_VIP);
    s->rflags |= one_in(4) ? FLAG_TF : 0;
    if (one_in(3))
        s->cr4 |= random64() & (CR4_SMAP | CR4_SMEP | CR4_PCIDE | CR4_PVI | CR4_FSGSBASE | CR4_TSD | CR4_DE);
    s->cr0 |= random64() & (CR0_WP | CR0_AM | CR0_TS);
    s->lstar = CODE;
    s->star = (uint64_t)(CS3 - 16) << 48 | (uint64_t)CS0 << 32;
}

static void random_tables(void)
{
    struct vcpu_state *s = &g.s;
    for (unsigned i = 0; i < 8; i++) {
        if (one_in(4))
            put(&g, GDT + 8 * (random64() % 10), random64());
        if (one_in(64))
            put(&g, IDT + 8 * (random64() % 64), random64());
        if (one_in(64))
            put(&g, PAGE_DIR + 8 * (random64() % 8), random64());
        if (one_in(128))
            put(&g, PML4 + 0x1000 * (random64() % 2), random64());
    }
    for (unsigned i = 0; i < 64; i++) {
        put(&g, STACK - 256 + 8 * i, one_in(2) ? wild_address() : random64() % 0x60);
        put(&g, USER_STACK - 256 + 8 * i, one_in(2) ? wild_address() : random64() % 0x60);
    }
    for (unsigned v = 0; v < 32; v++) // handlers that return, to where an error code may stand for rip
        memcpy(ram(&g, HANDLERS + v * 16), one_in(2) ? "\x48\x83\xc4\x08\x48\xcf" : "\x48\xcf\x0f\x0b\x0f\x0b", 6);
    s->tr.limit = one_in(4) ? (uint32_t)(random64() % 0x180) : s->tr.limit;
    s->tr.base = one_in(16) ? wild_address() : s->tr.base;
    s->gdtr.base = one_in(64) ? wild_address() : s->gdtr.base;
    s->idtr.base = one_in(64) ? wild_address() : s->idtr.base;
    if (one_in(4))
        s->ldtr = (struct segment){.base = one_in(2) ? GDT : wild_address(), .limit = random64() % 0x100};
}

static bool ends_properly(enum vcpu_exit exit)
{
    if (exit == VCPU_EXIT_ERROR)
        return strstr(g.vcpu.error, "compatibility mode") != NULL;
    return exit == VCPU_EXIT_HALT || exit == VCPU_EXIT_MARK || exit == VCPU_EXIT_SHUTDOWN || exit == VCPU_EXIT_BUDGET;
}

static void check_state(void)
{
    struct vcpu_state *s = &g.s;
    engine_interp.get_state(&g.vcpu, s);
    unsigned cpl = s->seg[SEG_CS].selector & 3;
    CHECK_EQ(s->cr0 & (CR0_PE | CR0_PG | CR0_ET), CR0_PE | CR0_PG | CR0_ET);
    CHECK(s->cr4 & CR4_PAE);
    CHECK_EQ(s->efer & (EFER_LME | EFER_LMA), EFER_LME | EFER_LMA);
    CHECK((s->seg[SEG_CS].attr & SEG_L) && !s->seg[SEG_CS].unusable);
    CHECK_EQ((s->seg[SEG_SS].attr & SEG_DPL) >> SEG_DPL_SHIFT, cpl);
    CHECK_EQ(s->rflags & (FLAG_FIXED1 | FLAG_VM | 0x8028), FLAG_FIXED1);
}

static uint64_t retired(void)
{
    struct counters n;
    engine_interp.counters(&g.vcpu, &n);
    return n.n[EV_insns_kernel] + n.n[EV_insns_user];
}

int main(void)
{
    static const uint8_t hlt[] = {0xf4};
    for (unsigned i = 0; i < CASES && !check_failures; i++) {
        seed = (i + 1) * 0x9e3779b97f4a7c15;
        unsigned cpl = one_in(3) ? 3 : 0;
        guest_start(&g, cpl, hlt, hlt + 1);
        g.s.rip += one_in(8) ? 0xff0 + random64() % 16 : 0; // across a page
        random_code(g.s.rip);
        random_registers(cpl);
        random_tables();
        g.vector = (int)(random64() % 256);
        g.interrupt_at_out = one_in(2);
        g.write_answer = one_in(8) ? VCPU_EXIT_MARK : VCPU_CONTINUE;
        engine_interp.set_state(&g.vcpu, &g.s);
        if (one_in(3))
            engine_interp.inject_nmi(&g.vcpu);
        if (one_in(3))
            engine_interp.set_intr(&g.vcpu, true);
        for (unsigned run = 0; run < RUNS; run++) {
            uint64_t before = retired();
            enum vcpu_exit exit = engine_interp.run(&g.vcpu, BUDGET);
            CHECK(ends_properly(exit));
            CHECK(retired() - before <= BUDGET && (exit != VCPU_EXIT_BUDGET || retired() - before == BUDGET));
            check_state();
            if (exit == VCPU_EXIT_SHUTDOWN || exit == VCPU_EXIT_ERROR)
                break;
        }
        if (check_failures)
            printf("# case %u\n", i);
    }
    guest_free(&g);
    return check_done("interp_hostile");
}
