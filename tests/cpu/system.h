// SPDX-License-Identifier: BSD-2-Clause
// A whole guest around a case, for engines that are judged through their interface: page tables with the host's window
// and code page, at CPL 0 or 3; an IDT whose handlers are each a hlt on a stack of their own, so that a run ends in the
// handler of whatever happened, and its frame is read there.
#ifndef RINGSIDE_TESTS_CPU_SYSTEM_H
#define RINGSIDE_TESTS_CPU_SYSTEM_H

#include <stdlib.h>
#include <string.h>

#include "include/vcpu.h"
#include "machine/cpuid.h"
#include "machine/ram.h"
#include "tests/cpu/subject.h"

// Guest-physical; SYSTEM is where all of it appears to CPL 0, at an address that no case aims at.
#define SYSTEM 0xffffa00000000000ull
enum {
    SYS_PML4 = 0x1000,
    SYS_PDPT = 0x2000,
    SYS_PD = 0x3000,
    SYS_PT = 0x4000,
    SYS_GDT = 0x5000,
    SYS_IDT = 0x6000,
    SYS_TSS = 0x7000,
    SYS_HANDLERS = 0x8000,
    SYS_STACK = 0xa000, // its top
    SYS_UPPER_PDPT = 0xb000,
    SYS_UPPER_PD = 0xc000,
    SYS_COPY = 0xd000,    // a program that copies a case's code to its page
    SYS_STAGING = 0xd800, // where it lies until then
    SYS_WINDOW = 0x10000,
    SYS_CODE = 0x20000,
};
#define SYS_DEVICE 0xd0000000ull // in place of the window, for instructions that work on a device
enum { SYS_CS0 = 0x08, SYS_SS0 = 0x10, SYS_SS3 = 0x23, SYS_CS3 = 0x2b, SYS_TR = 0x30 };
enum { SYS_INTERRUPT = 0x40 };

struct system {
    struct guest_ram ram;
    struct cpuid_leaf cpuid[MACHINE_CPUID_LEAVES];
    struct vcpu vcpu;
    struct vcpu_state start[2]; // at CPL 0, at CPL 3
    struct vcpu_state end;
    bool interrupt_taken;
};

static inline void sys_put(struct system *s, uint64_t at, uint64_t v)
{
    memcpy(s->ram.base + at, &v, sizeof v);
}
static inline uint64_t sys_get(const struct system *s, uint64_t at)
{
    uint64_t v;
    memcpy(&v, s->ram.base + at, sizeof v);
    return v;
}

// ---- Bus ----

static inline enum vcpu_exit sys_pio_read(void *machine, uint16_t port, unsigned size, uint32_t *value)
{
    (void)machine;
    *value = (0x44332211u + port) & (uint32_t)(UINT64_MAX >> (64 - 8 * size));
    return VCPU_CONTINUE;
}
static inline enum vcpu_exit sys_pio_write(void *machine, uint16_t port, unsigned size, uint32_t value)
{
    (void)machine, (void)port, (void)size, (void)value;
    return VCPU_CONTINUE;
}
// The device is the window's own memory, so that what is there is compared in one place.
static inline uint8_t *sys_device(struct system *s, gpa_t a)
{
    return a.v - SYS_DEVICE < WINDOW_BYTES ? s->ram.base + SYS_WINDOW + (a.v - SYS_DEVICE) : NULL;
}
static inline enum vcpu_exit sys_mmio_read(void *machine, gpa_t a, unsigned size, uint64_t *value)
{
    const uint8_t *at = sys_device(machine, a);
    *value = at ? 0 : UINT64_MAX;
    if (at)
        memcpy(value, at, size);
    return VCPU_CONTINUE;
}
static inline enum vcpu_exit sys_mmio_write(void *machine, gpa_t a, unsigned size, uint64_t value)
{
    uint8_t *at = sys_device(machine, a);
    if (at)
        memcpy(at, &value, size);
    return VCPU_CONTINUE;
}
static inline int sys_acknowledge(void *machine)
{
    struct system *s = machine;
    s->vcpu.engine->set_intr(&s->vcpu, false);
    s->interrupt_taken = true;
    return SYS_INTERRUPT;
}
static inline void sys_tpr(void *machine)
{
    (void)machine;
}
static inline void sys_apic_base(void *machine, uint64_t value)
{
    (void)machine, (void)value;
}

// ---- Tables ----

static inline void sys_map_window(struct system *s, bool device)
{
    for (unsigned i = 0; i < 3; i++) {
        uint64_t at = (device ? SYS_DEVICE : SYS_WINDOW) + i * PAGE, write = i < 2 ? PTE_W | PTE_D : 0;
        sys_put(s, SYS_PT + ((WINDOW >> 12 & 511) + i) * 8, at | write | PTE_P | PTE_U | PTE_A | PTE_NX);
    }
}

static inline void sys_build(struct system *s)
{
    uint64_t table = PTE_P | PTE_W | PTE_U | PTE_A;
    sys_put(s, SYS_PML4, SYS_PDPT | table);
    sys_put(s, SYS_PDPT, SYS_PD | table);
    sys_put(s, SYS_PD + (WINDOW >> 21 & 511) * 8, SYS_PT | table);
    sys_put(s, SYS_PT + (CODE >> 12 & 511) * 8, SYS_CODE | PTE_P | PTE_U | PTE_A);
    sys_put(s, SYS_PML4 + (SYSTEM >> 39 & 511) * 8, SYS_UPPER_PDPT | table);
    sys_put(s, SYS_UPPER_PDPT, SYS_UPPER_PD | table);
    sys_put(s, SYS_UPPER_PD, PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS);
    sys_map_window(s, false);

    sys_put(s, SYS_GDT + SYS_CS0, 0x00af9b000000ffff);
    sys_put(s, SYS_GDT + SYS_SS0, 0x00cf93000000ffff);
    sys_put(s, SYS_GDT + (SYS_SS3 & ~3), 0x00cff3000000ffff);
    sys_put(s, SYS_GDT + (SYS_CS3 & ~3), 0x00affb000000ffff);
    sys_put(s, SYS_TSS + 0x24, SYSTEM + SYS_STACK); // IST 1
    for (unsigned v = 0; v < 256; v++) {
        uint64_t to = SYSTEM + SYS_HANDLERS + v * 16, dpl = v == VEC_BP ? 3 : 0;
        uint64_t attr = SEG_P | dpl << SEG_DPL_SHIFT | SEG_TYPE_INTERRUPT_GATE;
        sys_put(s, SYS_IDT + v * 16,
                (to & 0xffff) | SYS_CS0 << 16 | 1ull << 32 | attr << 40 | (to >> 16 & 0xffff) << 48);
        sys_put(s, SYS_IDT + v * 16 + 8, to >> 32);
        s->ram.base[SYS_HANDLERS + v * 16] = 0xf4; // hlt
    }
    memcpy(s->ram.base + SYS_COPY, "\xf3\xa4\xf4", 3); // rep movsb, hlt
}

static inline struct segment sys_flat(unsigned selector, unsigned attr)
{
    return (struct segment){.limit = UINT32_MAX, .selector = (uint16_t)selector, .attr = (uint16_t)attr};
}

static inline void sys_start_state(struct vcpu_state *s, unsigned cpl, uint64_t components)
{
    unsigned data = SEG_S | SEG_P | SEG_DB | SEG_G | 3 | cpl << SEG_DPL_SHIFT;
    s->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_AM;
    s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
    s->xcr0 = components;
    s->cr3 = SYS_PML4;
    s->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    s->gdtr = (struct table_reg){SYSTEM + SYS_GDT, 0x4f};
    s->idtr = (struct table_reg){SYSTEM + SYS_IDT, 0xfff};
    s->tr = sys_flat(SYS_TR, SEG_P | SEG_TYPE_TSS_BUSY);
    s->tr.base = SYSTEM + SYS_TSS;
    s->tr.limit = 0x67;
    s->ldtr.unusable = true;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        s->seg[i] = sys_flat(cpl ? SYS_SS3 : SYS_SS0, data);
    s->seg[SEG_CS] = sys_flat(cpl ? SYS_CS3 : SYS_CS0, SEG_S | SEG_P | SEG_L | SEG_G | 0xb | cpl << SEG_DPL_SHIFT);
    s->seg[SEG_GS].base = GS_BASE;
    s->rflags = FLAG_FIXED1;
    s->rip = INSN_AT;
}

// components: XCR0. announce, where it is not NULL, may add to the guest's CPUID.
static inline bool sys_start(struct system *s, const struct engine *engine, const uint8_t *read_only_page,
                             uint64_t components, void (*announce)(struct cpuid_leaf *leaves, unsigned count))
{
    char err[200];
    memset(s, 0, sizeof *s);
    if (ram_create(&s->ram, RAM_MIN, err, sizeof err))
        return false;
    sys_build(s);
    memcpy(s->ram.base + SYS_WINDOW + WINDOW_RW, read_only_page, PAGE);
    s->vcpu = (struct vcpu){
        .engine = engine,
        .ram = &s->ram,
        .cpuid = machine_cpuid(s->cpuid, x86_host_features()),
        .bus = {s, sys_pio_read, sys_pio_write, sys_mmio_read, sys_mmio_write, sys_acknowledge, sys_tpr, sys_apic_base},
    };
    if (announce)
        announce(s->cpuid, (unsigned)s->vcpu.cpuid.count);
    if (engine->create(&s->vcpu))
        return false;
    for (unsigned i = 0; i < 2; i++) {
        engine->get_state(&s->vcpu, &s->start[i]);
        sys_start_state(&s->start[i], i ? 3 : 0, components);
    }
    return engine->set_state(&s->vcpu, &s->start[0]) == 0;
}

static inline void sys_stop(struct system *s)
{
    if (s->vcpu.engine)
        s->vcpu.engine->destroy(&s->vcpu);
    ram_destroy(&s->ram);
}

// ---- The end of a run ----

static inline bool sys_has_error(int vector)
{
    return vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) || vector == VEC_AC;
}

// Where s->end is a handler's hlt, the outcome is the frame's; the hlt behind the case's last instruction is its end,
// reached at CPL 0 or refused at CPL 3.
static inline void sys_outcome(const struct system *s, const struct test_case *t, struct outcome *out)
{
    uint64_t at = s->end.rip - 1 - SYSTEM - SYS_HANDLERS;
    memset(out, 0, sizeof *out);
    if (t->vector)
        fpu_from_image(&out->fpu, s->end.xsave, s->end.xcr0);
    memcpy(out->regs.gpr, s->end.gpr, sizeof out->regs.gpr);
    out->regs.flags = s->end.rflags;
    out->rip = s->end.rip;
    out->vector = -1;
    if (out->rip == INSN_AT + t->length + 1) {
        out->rip--;
        return;
    }
    out->vector = ENDED_BADLY;
    if (at % 16 || at / 16 > 255)
        return;
    out->vector = (int)(at / 16);
    uint64_t frame = s->end.gpr[RSP] - SYSTEM;
    if (frame >= RAM_MIN - 64)
        return;
    if (sys_has_error(out->vector)) {
        out->error = sys_get(s, frame);
        frame += 8;
    }
    out->rip = sys_get(s, frame);
    out->regs.flags = sys_get(s, frame + 16);
    out->regs.gpr[RSP] = sys_get(s, frame + 24);
    out->cr2 = out->vector == VEC_PF ? s->end.cr2 : 0;
    if (out->vector == VEC_GP && out->rip == INSN_AT + t->length) {
        out->vector = -1;
        out->error = 0;
        out->regs.flags &= ~(uint64_t)FLAG_RF;
    }
}

// A host judge says nothing of the privilege that a page fault's error code names.
static inline void sys_as_user(struct outcome *o)
{
    if (o->vector == VEC_PF)
        o->error |= PF_USER;
}

#endif
