// SPDX-License-Identifier: BSD-2-Clause
// A vCPU of the interpreter with nothing around it, for tests of single instructions: 4 MiB of RAM, the lower half of
// it the supervisor's, the upper half the user's, identity-mapped; flat segments; an IDT whose 256 handlers are each a
// hlt, so that a run ends in the handler of whatever happened; a bus that notes what it is asked.
#ifndef RINGSIDE_TESTS_UNIT_INTERP_GUEST_H
#define RINGSIDE_TESTS_UNIT_INTERP_GUEST_H

#include <stdlib.h>

#include "include/vcpu.h"
#include "tests/unit/check.h"
#include "x86/regs.h"

enum {
    RAM_BYTES = 4 << 20,
    PML4 = 0x1000,
    PDPT = 0x2000,
    PAGE_DIR = 0x3000,
    GDT = 0x4000,
    IDT = 0x5000,
    TSS = 0x6000,
    IO_MAP = 104, // in the TSS
    TSS_LIMIT = IO_MAP + 0x100,
    CODE = 0x8000,
    HANDLERS = 0x10000, // 16 bytes each
    STACK = 0x20000,
    RSP0 = 0x30008, // not aligned: delivery must
    IST1 = 0x40000,
    USER = 0x200000,
    USER_CODE = 0x200000,
    USER_STACK = 0x300000,
};

// Selectors. CALL_GATE leads to code_at(CODE + 0x800) at CPL 0 and may be called from CPL 3.
enum { CS0 = 0x08, SS0 = 0x10, USER32 = 0x18, SS3 = 0x23, CS3 = 0x2b, TR = 0x30, CALL_GATE = 0x40, GDT_LIMIT = 0x4f };
#define GATE_TARGET (CODE + 0x800)

struct guest {
    struct guest_ram ram;
    struct vcpu vcpu;
    struct vcpu_state s;
    // What the bus was asked, and what it answers.
    unsigned reads, writes, tpr_lowered, apic_written;
    uint32_t last_port, last_value;
    enum vcpu_exit write_answer;
    int vector;            // of the next interrupt_acknowledge; -1: none
    bool interrupt_at_out; // a write to a port raises an interrupt
};

// One piece of code, assembled by the compiler: NAME and NAME_end are its bounds.
#define CODE_BYTES(name, text)                                                                                         \
    __asm__(".pushsection .rodata\n" #name ": " text "\n" #name "_end:\n.popsection");                                 \
    extern const uint8_t name[], name##_end[]

static inline uint8_t *ram(struct guest *g, uint64_t at)
{
    return g->ram.base + at;
}
static inline uint64_t get(struct guest *g, uint64_t at)
{
    uint64_t v;
    memcpy(&v, ram(g, at), sizeof v);
    return v;
}
static inline void put(struct guest *g, uint64_t at, uint64_t v)
{
    memcpy(ram(g, at), &v, sizeof v);
}

// ---- Bus ----

static enum vcpu_exit pio_read(void *machine, uint16_t port, unsigned size, uint32_t *value)
{
    struct guest *g = machine;
    g->reads++;
    g->last_port = port;
    *value = 0x44332211u & (uint32_t)(UINT64_MAX >> (64 - 8 * size));
    return VCPU_CONTINUE;
}
static enum vcpu_exit pio_write(void *machine, uint16_t port, unsigned size, uint32_t value)
{
    struct guest *g = machine;
    (void)size;
    g->writes++;
    g->last_port = port;
    g->last_value = value;
    if (g->interrupt_at_out)
        g->vcpu.engine->set_intr(&g->vcpu, true);
    return g->write_answer;
}
static enum vcpu_exit mmio_read(void *machine, gpa_t addr, unsigned size, uint64_t *value)
{
    (void)machine, (void)addr, (void)size;
    *value = UINT64_MAX;
    return VCPU_CONTINUE;
}
static enum vcpu_exit mmio_write(void *machine, gpa_t addr, unsigned size, uint64_t value)
{
    (void)machine, (void)addr, (void)size, (void)value;
    return VCPU_CONTINUE;
}
static int interrupt_acknowledge(void *machine)
{
    struct guest *g = machine;
    g->vcpu.engine->set_intr(&g->vcpu, false);
    return g->vector;
}
static void tpr_lowered(void *machine)
{
    ((struct guest *)machine)->tpr_lowered++;
}
static void apic_base_written(void *machine, uint64_t value)
{
    struct guest *g = machine;
    g->apic_written++;
    g->vcpu.apic_base = value;
}

// ---- Tables ----

static inline void set_gate(struct guest *g, unsigned vector, unsigned type, unsigned dpl, unsigned ist)
{
    uint64_t to = HANDLERS + vector * 16u;
    uint64_t attr = SEG_P | dpl << SEG_DPL_SHIFT | type;
    put(g, IDT + vector * 16u, (to & 0xffff) | CS0 << 16 | (uint64_t)ist << 32 | attr << 40 | (to >> 16) << 48);
    put(g, IDT + vector * 16u + 8, 0);
}

static inline void build_tables(struct guest *g)
{
    put(g, PML4, PDPT | PTE_P | PTE_W | PTE_U);
    put(g, PDPT, PAGE_DIR | PTE_P | PTE_W | PTE_U);
    put(g, PAGE_DIR, PTE_P | PTE_W | PTE_PS);
    put(g, PAGE_DIR + 8, USER | PTE_P | PTE_W | PTE_U | PTE_PS);

    put(g, GDT + CS0, 0x00af9a000000ffff); // accessed bits clear
    put(g, GDT + SS0, 0x00cf92000000ffff);
    put(g, GDT + USER32, 0x00cffa000000ffff);
    put(g, GDT + (SS3 & ~3), 0x00cff2000000ffff);
    put(g, GDT + (CS3 & ~3), 0x00affa000000ffff);
    put(g, GDT + CALL_GATE, (GATE_TARGET & 0xffff) | CS0 << 16 | 0xecull << 40);
    put(g, TSS + 4, RSP0);
    put(g, TSS + 0x24, IST1);
    put(g, TSS + 100, (uint64_t)IO_MAP << 16);
    memset(ram(g, TSS + IO_MAP), 0xff, TSS_LIMIT - IO_MAP + 1);
    for (unsigned v = 0; v < 256; v++) {
        set_gate(g, v, SEG_TYPE_INTERRUPT_GATE, 0, 0);
        *ram(g, HANDLERS + v * 16) = 0xf4; // hlt
    }
}

static inline struct segment flat(uint16_t selector, unsigned attr)
{
    return (struct segment){.limit = UINT32_MAX, .selector = selector, .attr = (uint16_t)attr};
}

// From now on the guest is at CODE, CPL 0, or at USER_CODE, CPL 3, interrupts off.
static inline void set_privilege(struct guest *g, unsigned cpl)
{
    struct vcpu_state *s = &g->s;
    unsigned code = SEG_S | SEG_P | SEG_L | SEG_G | 0xb | cpl << SEG_DPL_SHIFT;
    unsigned data = SEG_S | SEG_P | SEG_DB | SEG_G | 0x3 | cpl << SEG_DPL_SHIFT;
    s->seg[SEG_CS] = flat(cpl ? CS3 : CS0, code);
    s->seg[SEG_SS] = flat(cpl ? SS3 : SS0, data);
    s->rip = cpl ? USER_CODE : CODE;
    s->gpr[RSP] = cpl ? USER_STACK : STACK;
    s->rflags = FLAG_FIXED1;
}

static inline void guest_free(struct guest *g)
{
    if (g->vcpu.engine)
        g->vcpu.engine->destroy(&g->vcpu);
    free(g->ram.base);
    memset(g, 0, sizeof *g);
}

// A fresh guest with `code` as its program at privilege cpl; g is zero or was used before.
static inline void guest_start(struct guest *g, unsigned cpl, const uint8_t *code, const uint8_t *end)
{
    static const struct cpuid_leaf leaves[] = {
        {.leaf = 0x0, .eax = 0x7},
        {.leaf = 0x1, .ecx = 1u << 17, .edx = 1u << 9},                // PCID; APIC
        {.leaf = 0x7, .ebx = 1u << 0 | 1u << 7 | 1u << 10 | 1u << 20}, // FSGSBASE, SMEP, INVPCID, SMAP
        {.leaf = 0x80000000, .eax = 0x80000008},
        {.leaf = 0x80000001, .edx = 1u << 20 | 1u << 27}, // NX, RDTSCP
        {.leaf = 0x80000008, .eax = 48u << 8 | 46},
    };
    guest_free(g);
    g->ram = (struct guest_ram){.base = aligned_alloc(GUEST_PAGE_SIZE, RAM_BYTES), .size = RAM_BYTES, .memfd = -1};
    memset(g->ram.base, 0, RAM_BYTES);
    build_tables(g);
    memcpy(ram(g, cpl ? USER_CODE : CODE), code, (size_t)(end - code));
    g->vector = -1;
    g->vcpu = (struct vcpu){
        .engine = &engine_interp,
        .ram = &g->ram,
        .bus = {g, pio_read, pio_write, mmio_read, mmio_write, interrupt_acknowledge, tpr_lowered, apic_base_written},
        .cpuid = {leaves, sizeof leaves / sizeof *leaves},
        .apic_base = 0xfee00900,
    };
    if (engine_interp.create(&g->vcpu) || engine_interp.get_state(&g->vcpu, &g->s))
        abort();
    g->s.cr3 = PML4;
    g->s.efer |= EFER_SCE;
    g->s.apic_base = 0xfee00900;
    g->s.gdtr = (struct table_reg){GDT, GDT_LIMIT};
    g->s.idtr = (struct table_reg){IDT, 0xfff};
    g->s.tr = (struct segment){.base = TSS, .limit = TSS_LIMIT, .selector = TR, .attr = SEG_P | SEG_TYPE_TSS_BUSY};
    g->s.ldtr.unusable = true;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        g->s.seg[i] = flat(SS0, SEG_S | SEG_P | SEG_DB | SEG_G | 0x3);
    set_privilege(g, cpl);
}
#define START(g, cpl, name) guest_start(g, cpl, name, name##_end)

// Runs from g->s, and leaves in it where that ended.
static inline enum vcpu_exit guest_go(struct guest *g)
{
    if (engine_interp.set_state(&g->vcpu, &g->s))
        return VCPU_EXIT_ERROR;
    enum vcpu_exit exit = engine_interp.run(&g->vcpu, 10000);
    engine_interp.get_state(&g->vcpu, &g->s);
    return exit;
}

// Runs; which vector's handler halted, or -1.
static inline int guest_vector(struct guest *g)
{
    enum vcpu_exit exit = guest_go(g);
    uint64_t at = g->s.rip - 1 - HANDLERS;
    return exit == VCPU_EXIT_HALT && at % 16 == 0 && at / 16 < 256 ? (int)(at / 16) : -1;
}

// The frame on the handler's stack; without an error code it begins with rip.
enum frame { F_RIP, F_CS, F_RFLAGS, F_RSP, F_SS };
static inline uint64_t frame(struct guest *g, enum frame field)
{
    return get(g, g->s.gpr[RSP] + 8u * field);
}
static inline uint64_t frame_after_error(struct guest *g, enum frame field)
{
    return get(g, g->s.gpr[RSP] + 8u + 8u * field);
}

#endif
