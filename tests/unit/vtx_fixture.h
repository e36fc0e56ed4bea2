// SPDX-License-Identifier: BSD-2-Clause
// A vCPU of engine vtx in 64-bit mode, with page tables, an IDT whose every vector ends the run, and a bus that writes
// down what is asked of it.
#ifndef RINGSIDE_TESTS_VTX_FIXTURE_H
#define RINGSIDE_TESTS_VTX_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "engines/vtx/vtx.h"
#include "include/guest_abi.h"
#include "tests/unit/check.h"
#include "x86/regs.h"

#define CODE_ADDR 0x100000ull
#define STACK_TOP 0x1ff000ull
#define TABLES_ADDR 0x10000ull // PML4, PDPT, four page directories: identity map of 4 GiB, and of [4, 5) GiB
#define GDT_ADDR 0x6000ull
#define IDT_ADDR 0x5000ull
#define TSS_AT 0x4000ull
#define MMIO_ADDR 0xd0000000ull
#define DATA_ADDR 0x180000ull
#define PORT_VALUE 0x90 // reads give what the test says
#define PORT_RAISE 0x91 // a write of 0 or 1 sets line 4, or INTR
#define LEAF1_ECX_RESERVED (1u << 16)

#define GUEST(name, text)                                                                                              \
    __asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n.popsection");                                \
    extern const uint8_t name[], name##_end[]

// Where every vector goes: the vector in al, then the end of the run.
GUEST(code_vector, "out %eax, $0xf4\n 1: jmp 1b");

struct access {
    uint64_t where, value;
    unsigned size;
    bool write, mmio;
};

struct fixture {
    struct guest_ram ram;
    struct vcpu v;
    struct access log[64];
    size_t count;
    uint64_t next_read;

    // What the machine's interrupt controllers would do (irqchip=user)
    int vector; // of the first interrupt
    unsigned vectors_left, acknowledged, tpr_lowered, apic_base_writes;
    bool raise_on_read; // a read of a port asserts INTR
};

static inline void record(struct fixture *f, struct access a)
{
    if (f->count < sizeof f->log / sizeof *f->log)
        f->log[f->count++] = a;
}

static inline enum vcpu_exit pio_read(void *machine, uint16_t port, unsigned size, uint32_t *value)
{
    struct fixture *f = machine;
    *value = (uint32_t)f->next_read++;
    record(f, (struct access){.where = port, .value = *value, .size = size});
    if (f->raise_on_read)
        f->v.engine->set_intr(&f->v, true);
    return VCPU_CONTINUE;
}

static inline enum vcpu_exit pio_write(void *machine, uint16_t port, unsigned size, uint32_t value)
{
    struct fixture *f = machine;
    record(f, (struct access){.where = port, .value = value, .size = size, .write = true});
    if (port == PORT_RAISE && f->v.has_irqchip)
        CHECK(f->v.engine->irq_line(&f->v, 4, value) == 0);
    else if (port == PORT_RAISE)
        f->v.engine->set_intr(&f->v, value);
    return port == PORT_MARK ? VCPU_EXIT_MARK : port == PORT_DEBUG_EXIT ? VCPU_EXIT_POWER : VCPU_CONTINUE;
}

static inline enum vcpu_exit mmio_read(void *machine, gpa_t addr, unsigned size, uint64_t *value)
{
    struct fixture *f = machine;
    *value = f->next_read++;
    record(f, (struct access){.where = addr.v, .value = *value, .size = size, .mmio = true});
    return VCPU_CONTINUE;
}

static inline enum vcpu_exit mmio_write(void *machine, gpa_t addr, unsigned size, uint64_t value)
{
    record(machine, (struct access){.where = addr.v, .value = value, .size = size, .write = true, .mmio = true});
    return VCPU_CONTINUE;
}

// With irqchip=user: one interrupt after the other, while there are any.
static inline int interrupt_acknowledge(void *machine)
{
    struct fixture *f = machine;
    f->acknowledged++;
    if (f->vectors_left <= 1)
        f->v.engine->set_intr(&f->v, false);
    return f->vectors_left ? (f->vectors_left--, f->vector++) : -1;
}

static inline void tpr_lowered(void *machine)
{
    ((struct fixture *)machine)->tpr_lowered++;
}

static inline void apic_base_written(void *machine, uint64_t value)
{
    struct fixture *f = machine;
    f->apic_base_writes++;
    f->v.apic_base = value;
}

static const struct cpuid_leaf leaves[] = {
    {0x0, 0, 0xd, 0x756e6547, 0x6c65746e, 0x49656e69},
    {0x1, 0, 0x000306c3, 0, 0x00002000 | LEAF1_ECX_RESERVED, 0x078bfbff}, // cx16
    {0x80000000, 0, 0x80000008, 0, 0, 0},
    {0x80000001, 0, 0, 0, 0x1, 0x28100800}, // lahf; lm, rdtscp, nx, syscall
    {0x80000008, 0, 0x3028, 0, 0, 0},
};

static inline void put64(struct fixture *f, uint64_t addr, uint64_t value)
{
    memcpy(ram_at(&f->ram, gpa(addr), 8), &value, 8);
}

// Vector n: a stub at STUB + 16 n that loads n and goes to code_vector.
#define STUBS_ADDR 0x101000ull
static inline void make_idt(struct fixture *f)
{
    for (uint64_t n = 0; n < 64; n++) {
        uint64_t at = STUBS_ADDR + 16 * n;
        uint8_t stub[16] = {0xb8, (uint8_t)n};
        memcpy(stub + 5, code_vector, (size_t)(code_vector_end - code_vector));
        memcpy(ram_at(&f->ram, gpa(at), sizeof stub), stub, sizeof stub);
        put64(f, IDT_ADDR + 16 * n, (at & 0xffff) | 0x10ull << 16 | 0x8e00ull << 32 | (at >> 16 << 48));
        put64(f, IDT_ADDR + 16 * n + 8, at >> 32);
    }
}

static inline void make_tables(struct fixture *f)
{
    put64(f, GDT_ADDR + 0x10, 0x00af9b000000ffff);
    put64(f, GDT_ADDR + 0x18, 0x00cf93000000ffff);
    put64(f, TABLES_ADDR, (TABLES_ADDR + 0x1000) | PTE_P | PTE_W | PTE_U);
    for (uint64_t i = 0; i < 5; i++) {
        uint64_t directory = TABLES_ADDR + 0x2000 + 0x1000 * i;
        put64(f, TABLES_ADDR + 0x1000 + 8 * i, directory | PTE_P | PTE_W | PTE_U);
        for (uint64_t j = 0; j < 512; j++)
            put64(f, directory + 8 * j, (i << 30 | j << 21) | PTE_P | PTE_W | PTE_PS);
    }
}

static inline struct segment flat(uint16_t selector, uint16_t attr)
{
    return (struct segment){.limit = 0xffffffff, .selector = selector, .attr = attr};
}

static inline void entry_state(struct vcpu_state *s)
{
    struct segment data = flat(0x18, SEG_P | SEG_S | SEG_G | SEG_DB | 3), null = {.unusable = true};
    memset(s, 0, sizeof *s);
    s->rip = CODE_ADDR;
    s->rflags = FLAG_FIXED1;
    s->gpr[RSP] = STACK_TOP;
    s->seg[SEG_CS] = flat(0x10, SEG_P | SEG_S | SEG_G | SEG_L | 0xb);
    s->seg[SEG_SS] = s->seg[SEG_DS] = s->seg[SEG_ES] = s->seg[SEG_FS] = s->seg[SEG_GS] = data;
    s->ldtr = null;
    s->tr = (struct segment){.base = TSS_AT, .limit = 0x67, .selector = 0x20, .attr = SEG_P | SEG_TYPE_TSS_BUSY};
    s->gdtr = (struct table_reg){GDT_ADDR, 0x2f};
    s->idtr = (struct table_reg){IDT_ADDR, 64 * 16 - 1};
    s->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    s->cr3 = TABLES_ADDR;
    s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    s->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    s->dr6 = 0xffff0ff0;
    s->dr7 = 0x400;
    s->xcr0 = 1;
    s->pat = PAT_RESET;
    s->apic_base = APIC_DEFAULT_ADDR | APIC_BASE_ENABLE | APIC_BASE_BSP;
    uint32_t mxcsr = 0x1f80;
    memcpy(s->xsave + 24, &mxcsr, 4);
    s->xsave[512] = 3; // XSTATE_BV: x87 and SSE present
    s->xsave[0] = 0x7f, s->xsave[1] = 3;
}

static inline struct fixture *fixture_new(const char *settings, uint64_t ram_bytes, const uint8_t *code,
                                          const uint8_t *end)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        abort();
    int fd = memfd_create("test", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)ram_bytes))
        abort();
    void *base = mmap(NULL, ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (base == MAP_FAILED)
        abort();
    f->ram = (struct guest_ram){.base = base, .size = ram_bytes, .memfd = fd};
    f->v = (struct vcpu){
        .engine = &engine_vtx,
        .ram = &f->ram,
        .bus = {.machine = f,
                .pio_read = pio_read,
                .pio_write = pio_write,
                .mmio_read = mmio_read,
                .mmio_write = mmio_write,
                .interrupt_acknowledge = interrupt_acknowledge,
                .tpr_lowered = tpr_lowered,
                .apic_base_written = apic_base_written},
        .settings = settings,
        .has_irqchip = engine_has_irqchip(&engine_vtx, settings),
        .cpuid = {leaves, sizeof leaves / sizeof *leaves},
    };
    make_tables(f);
    make_idt(f);
    memcpy(ram_at(&f->ram, gpa(CODE_ADDR), (size_t)(end - code)), code, (size_t)(end - code));
    CHECK(engine_vtx.create(&f->v) == 0);
    if (!f->v.engine_data) {
        printf("# %s\n", f->v.error);
        exit(1);
    }
    struct vcpu_state s;
    entry_state(&s);
    bool set = engine_vtx.set_state(&f->v, &s) == 0;
    CHECK(set);
    if (!set)
        printf("# %s\n", f->v.error);
    return f;
}
static inline void fixture_free(struct fixture *f)
{
    engine_vtx.destroy(&f->v);
    munmap(f->ram.base, f->ram.size);
    close(f->ram.memfd);
    free(f);
}

static inline enum vcpu_exit run(struct fixture *f)
{
    enum vcpu_exit e = engine_vtx.run(&f->v, 0);
    if (e == VCPU_EXIT_ERROR)
        printf("# %s\n", f->v.error);
    return e;
}

static inline uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static inline struct vcpu_state state_of(struct fixture *f)
{
    struct vcpu_state s;
    CHECK(engine_vtx.get_state(&f->v, &s) == 0);
    return s;
}

static inline uint64_t counted(struct fixture *f, enum event e)
{
    struct counters c;
    engine_vtx.counters(&f->v, &c);
    return c.n[e];
}

static inline bool saw(const struct access *a, uint64_t where, unsigned size, bool write, uint64_t value)
{
    return a->where == where && a->size == size && a->write == write && a->value == value;
}

static inline bool ended_in_vector(struct fixture *f, uint64_t vector)
{
    const struct access *last = &f->log[f->count ? f->count - 1 : 0];
    return f->count && saw(last, PORT_DEBUG_EXIT, 4, true, vector);
}

// The iret that ends an NMI's handler: NMIs are let in again (SDM vol. 3, 6.7.1). Bochs' CPU (2.7) does not unblock
// them at a VM entry whose state says that they are not blocked, so that a handler without its end would keep them from
// the next vCPU.
GUEST(code_iret, "iretq\n code_iret_to: out %al, $0xf4");
extern const uint8_t code_iret_to[];
static inline void end_nmi(struct fixture *f)
{
    struct vcpu_state s = state_of(f);
    memcpy(ram_at(&f->ram, gpa(DATA_ADDR), 8), code_iret, (size_t)(code_iret_end - code_iret));
    put64(f, s.gpr[RSP], DATA_ADDR + (uint64_t)(code_iret_to - code_iret));
    s.rip = DATA_ADDR;
    CHECK(s.nmi_masked && engine_vtx.set_state(&f->v, &s) == 0);
    CHECK(run(f) == VCPU_EXIT_POWER && !state_of(f).nmi_masked);
}

#endif
