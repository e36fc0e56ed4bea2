// SPDX-License-Identifier: BSD-2-Clause
// Guest memory as the binary translator's C code sees it: the TLB's life, faults, rights, pages, devices, and the
// checked form of operands.
#include "engines/bt/flush.h"
#include "engines/bt/memory.h"

#include <setjmp.h>

#include "engines/bt/tc.h"
#include "tests/unit/bt_tables.h"

#define DEVICE 0xfee00000ull
#define DEVICE_VA (100 * PAGE)
#define RIGHTS (PTE_P | PTE_W)

struct device { // remembers the last access
    unsigned reads, writes;
    uint64_t addr, value;
    unsigned size;
    enum vcpu_exit wish;
};

static enum vcpu_exit device_read(void *machine, gpa_t addr, unsigned size, uint64_t *value)
{
    struct device *d = machine;
    d->reads++;
    d->addr = addr.v;
    d->size = size;
    *value = 0x1122334455667788 >> 8 * (addr.v % 8);
    return d->wish;
}

static enum vcpu_exit device_write(void *machine, gpa_t addr, unsigned size, uint64_t value)
{
    struct device *d = machine;
    d->writes++;
    d->addr = addr.v;
    d->size = size;
    d->value = value;
    return d->wish;
}

static uint64_t *ram64(struct bt_tables *f, uint64_t at)
{
    return (uint64_t *)(f->ram.base + at);
}

static void make_tables(struct bt_tables *f)
{
    *cell(f, PML4, 0) = PDPT | RIGHTS | PTE_U;
    *cell(f, PDPT, 0) = PD | RIGHTS | PTE_U;
    *cell(f, PD, 0) = PT | RIGHTS | PTE_U;
    *cell(f, PD, 1) = LARGE | RIGHTS | PTE_PS;
    for (unsigned i = 0; i < 64; i++) {
        *cell(f, PT, i) = (FRAMES + (63 - i) * PAGE) | RIGHTS; // neighbours are none in RAM
        *ram64(f, FRAMES + (63 - i) * PAGE) = i + 1;
    }
    *cell(f, PT, DEVICE_VA / PAGE) = DEVICE | RIGHTS;
}

static void attach(struct bt_tables *f, struct device *device)
{
    f->vcpu.bus = (struct vcpu_bus){.machine = device, .mmio_read = device_read, .mmio_write = device_write};
}

static void set_up(struct bt_tables *f)
{
    bt_tables_start(f);
    f->bt->tc = tc_create(f->bt);
    make_tables(f);
}

static void tear_down(struct bt_tables *f)
{
    tc_destroy(f->bt->tc);
    bt_tables_stop(f);
}

// Vector and error code of the fault that the expression raises, as VECTOR << 16 | ERROR; 0 for none.
#define FAULT(f, expression)                                                                                           \
    ({                                                                                                                 \
        (f)->bt->event.pending = false;                                                                                \
        if (setjmp((f)->bt->fault) == 0)                                                                               \
            (void)(expression);                                                                                        \
        (f)->bt->event.pending ? (uint32_t)(f)->bt->event.vector << 16 | (f)->bt->event.error : 0u;                    \
    })
#define PF(error) (VEC_PF << 16 | (error))

static uint64_t load(struct bt_tables *f, uint64_t va, unsigned size)
{
    return mem_read(f->bt, va, size, false);
}

// ---- Tests ----

static void plain_accesses(void)
{
    struct bt_tables f;
    set_up(&f);
    CHECK_EQ(load(&f, 0, 8), 1);
    CHECK_EQ(load(&f, 5 * PAGE, 1), 6);
    CHECK_EQ(*cell(&f, PT, 5) & (PTE_A | PTE_D), PTE_A);
    mem_write(f.bt, 5 * PAGE + 3, 4, 0x11223344aabbccdd, false);
    CHECK_EQ(*ram64(&f, FRAMES + 58 * PAGE), 0xaabbccdd000006);
    CHECK_EQ(*cell(&f, PT, 5) & (PTE_A | PTE_D), PTE_A | PTE_D);
    CHECK_EQ(load(&f, 5 * PAGE + 3, 2), 0xccdd);
    CHECK_EQ(f.vcpu.counters.n[EV_tlb_misses], 3);
    CHECK_EQ(mem_read_rmw(f.bt, 6 * PAGE, 8, false), 7);
    CHECK_EQ(*cell(&f, PT, 6) & PTE_D, PTE_D);

    mem_write(f.bt, 8 * PAGE - 3, 8, 0x8877665544332211, false); // across pages that are none in RAM
    CHECK_EQ(load(&f, 8 * PAGE - 3, 8), 0x8877665544332211);
    CHECK_EQ(load(&f, 8 * PAGE, 4), 0x77665544);
    CHECK_EQ(load(&f, 8 * PAGE - 2, 2), 0x3322);
    CHECK(mem_plain(f.bt, 9 * PAGE, 8, true) == ram64(&f, FRAMES + 54 * PAGE));
    CHECK(!mem_plain(f.bt, 9 * PAGE - 1, 8, false));
    CHECK(!mem_plain(f.bt, DEVICE_VA, 8, false));
    CHECK(!mem_plain(f.bt, 70 * PAGE, 8, false));
    tear_down(&f);
}

// A block is looked up as any other access is: in the TLB where it lies in one page, else page by page.
static void blocks(void)
{
    struct bt_tables f;
    uint8_t block[PAGE], other[PAGE];
    set_up(&f);
    const uint64_t *misses = &f.vcpu.counters.n[EV_tlb_misses];
    for (unsigned i = 0; i < PAGE; i++)
        block[i] = (uint8_t)(i * 7 + i / 256);
    mem_write_block(f.bt, 5 * PAGE, block, 500, false);
    mem_write_block(f.bt, 5 * PAGE + 500, block + 500, PAGE - 500, false);
    mem_read_block(f.bt, 5 * PAGE, other, PAGE, false);
    CHECK(!memcmp(block, other, PAGE));
    mem_read_rmw_block(f.bt, 5 * PAGE + 1, other, PAGE - 1, false);
    CHECK(!memcmp(block + 1, other, PAGE - 1));
    CHECK_EQ(*misses, 1);
    mem_write_block(f.bt, 5 * PAGE + 1, block, PAGE, false); // into the next page
    mem_read_block(f.bt, 5 * PAGE + 1, other, PAGE, false);
    CHECK(!memcmp(block, other, PAGE));
    CHECK_EQ(*misses, 5);
    mem_read_block(f.bt, 7 * PAGE, other, 64, false); // which does not say that it may be written
    *cell(&f, PT, 7) &= ~PTE_W;
    CHECK_EQ(FAULT(&f, mem_read_rmw_block(f.bt, 7 * PAGE, other, 64, false)), PF(PF_PRESENT | PF_WRITE));
    CHECK_EQ(FAULT(&f, mem_write_block(f.bt, 7 * PAGE, other, 64, false)), PF(PF_PRESENT | PF_WRITE));
    tear_down(&f);
}

static void faults(void)
{
    struct bt_tables f;
    set_up(&f);
    CHECK_EQ(FAULT(&f, load(&f, 70 * PAGE, 1)), PF(0));
    CHECK_EQ(f.bt->cr2, 70 * PAGE);
    CHECK_EQ(FAULT(&f, mem_write(f.bt, 64 * PAGE - 4, 8, 1, false)), PF(PF_WRITE)); // its second page
    CHECK_EQ(f.bt->cr2, 64 * PAGE);
    *cell(&f, PT, 1) &= ~PTE_W;
    CHECK_EQ(FAULT(&f, load(&f, PAGE, 8)), 0);
    CHECK_EQ(FAULT(&f, mem_write(f.bt, PAGE, 8, 1, false)), PF(PF_PRESENT | PF_WRITE));
    CHECK_EQ(FAULT(&f, mem_read_rmw(f.bt, PAGE, 8, false)), PF(PF_PRESENT | PF_WRITE));
    CHECK_EQ(FAULT(&f, mem_probe_write(f.bt, PAGE - 1, 2, false)), PF(PF_PRESENT | PF_WRITE));
    CHECK_EQ(FAULT(&f, mem_probe_write(f.bt, PAGE - 2, 2, false)), 0);
    CHECK_EQ(FAULT(&f, load(&f, 1ull << 47, 8)), VEC_GP << 16);
    CHECK_EQ(FAULT(&f, mem_read(f.bt, 1ull << 63, 8, true)), VEC_SS << 16);
    CHECK_EQ(FAULT(&f, mem_fetch(f.bt, 1ull << 47)), VEC_GP << 16);
    *cell(&f, PT, 2) |= PTE_NX;
    CHECK_EQ(FAULT(&f, mem_fetch(f.bt, 2 * PAGE)), PF(PF_PRESENT | PF_FETCH));
    CHECK_EQ(mem_fetch(f.bt, 3 * PAGE + 17).v, FRAMES + 60 * PAGE + 17);
    CHECK_EQ(mem_fetch(f.bt, 3 * PAGE + 18).v, FRAMES + 60 * PAGE + 18);
    tear_down(&f);
}

static void privileges(void)
{
    struct bt_tables f;
    set_up(&f);
    *cell(&f, PT, 1) |= PTE_U;
    CHECK_EQ(load(&f, PAGE, 1), 2);
    CHECK_EQ(load(&f, 0, 1), 1);
    f.bt->cpl = 3; // what CPL 0 may is of no use
    CHECK_EQ(FAULT(&f, load(&f, 0, 8)), PF(PF_PRESENT | PF_USER));
    CHECK_EQ(FAULT(&f, mem_write(f.bt, 0, 8, 1, false)), PF(PF_PRESENT | PF_USER | PF_WRITE));
    CHECK_EQ(FAULT(&f, load(&f, PAGE, 8)), 0);
    CHECK_EQ(sys_read(f.bt, 0, 8), 1);
    sys_write(f.bt, 8, 8, 99);
    CHECK_EQ(sys_read(f.bt, 8, 8), 99);

    f.bt->cpl = 0;
    f.bt->cr4 = CR4_SMAP;
    flush_all(f.bt); // as mov to cr4 does
    CHECK_EQ(FAULT(&f, load(&f, PAGE, 8)), PF(PF_PRESENT));
    f.bt->rflags = FLAG_AC;
    CHECK_EQ(FAULT(&f, load(&f, PAGE, 8)), 0);
    CHECK_EQ(FAULT(&f, sys_read(f.bt, PAGE, 8)), PF(PF_PRESENT));
    f.bt->rflags = 0;
    CHECK_EQ(FAULT(&f, load(&f, PAGE, 8)), PF(PF_PRESENT));
    tear_down(&f);
}

static void alignment(void)
{
    struct bt_tables f;
    void *host;
    set_up(&f);
    *cell(&f, PT, 1) |= PTE_U;
    f.bt->rflags = FLAG_AC;
    f.bt->cr0 |= CR0_AM;
    CHECK_EQ(FAULT(&f, load(&f, PAGE + 1, 8)), 0);
    f.bt->cpl = 3;
    CHECK_EQ(FAULT(&f, load(&f, PAGE + 8, 8)), 0);
    CHECK_EQ(FAULT(&f, load(&f, PAGE + 4, 8)), VEC_AC << 16);
    CHECK_EQ(FAULT(&f, load(&f, PAGE + 4, 4)), 0);
    CHECK_EQ(FAULT(&f, load(&f, PAGE + 3, 1)), 0);
    CHECK_EQ(FAULT(&f, mem_write(f.bt, PAGE + 1, 2, 0, false)), VEC_AC << 16);
    CHECK_EQ(FAULT(&f, load(&f, PAGE - 1, 2)), PF(PF_PRESENT | PF_USER)); // comes first
    CHECK_EQ(FAULT(&f, mem_access(f.bt, PAGE + 2, 4, (struct mem_how){true, false, false, false}, &host)),
             VEC_AC << 16);
    CHECK_EQ(FAULT(&f, mem_access(f.bt, PAGE + 2, 16, (struct mem_how){true, false, false, false}, &host)), 0);
    tear_down(&f);
}

static void flushes(void)
{
    struct bt_tables f;
    set_up(&f);
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(load(&f, i * PAGE, 8), i + 1);
    *cell(&f, PT, 0) = (FRAMES + 10 * PAGE) | RIGHTS;
    *cell(&f, PT, 1) = (FRAMES + 11 * PAGE) | RIGHTS;
    CHECK_EQ(load(&f, 0, 8), 1);
    flush_page(f.bt, 5);
    CHECK_EQ(load(&f, 0, 8), 54);
    CHECK_EQ(load(&f, PAGE, 8), 2);
    flush_all(f.bt);
    CHECK_EQ(load(&f, PAGE, 8), 53);

    for (unsigned i = 0; i < 500; i++) // more than are remembered
        mem_write(f.bt, LARGE_VA + i * PAGE, 8, i, false);
    *cell(&f, PD, 1) = FRAMES | RIGHTS | PTE_PS;
    CHECK_EQ(load(&f, LARGE_VA + 400 * PAGE, 8), 400);
    flush_page(f.bt, LARGE_VA); // one address of a large page: all of it
    CHECK_EQ(load(&f, LARGE_VA + 10 * PAGE, 8), 54);
    for (unsigned i = 0; i < 500; i++)
        (void)load(&f, LARGE_VA + i * PAGE, 8);
    *cell(&f, PD, 1) = 0;
    flush_all(f.bt);
    for (unsigned i = 0; i < 500; i++)
        CHECK_EQ(FAULT(&f, load(&f, LARGE_VA + i * PAGE, 8)), PF(0));
    tear_down(&f);
}

static void devices(void)
{
    struct bt_tables f;
    struct device device = {0};
    set_up(&f);
    attach(&f, &device);
    CHECK_EQ(load(&f, DEVICE_VA + 8, 4), 0x55667788);
    CHECK_EQ(device.addr, DEVICE + 8);
    CHECK_EQ(device.size, 4);
    CHECK_EQ(load(&f, DEVICE_VA + 2, 4), 0x33445566); // unaligned: byte by byte
    CHECK_EQ(device.size, 1);
    CHECK_EQ(device.reads, 5);
    CHECK_EQ(f.bt->attention, 0);
    device.wish = VCPU_EXIT_MARK;
    mem_write(f.bt, DEVICE_VA + 16, 8, 0xabcdef, false);
    CHECK_EQ(device.value, 0xabcdef);
    CHECK_EQ(device.addr, DEVICE + 16);
    CHECK_EQ(f.bt->exit, VCPU_EXIT_MARK);
    CHECK_EQ(f.bt->attention, 1);
    CHECK_EQ(f.vcpu.counters.n[EV_exit_mmio], 6);
    tear_down(&f);
}

static void checked_operands(void)
{
    struct bt_tables f;
    struct device device = {0};
    void *host;
    set_up(&f);
    attach(&f, &device);
    for (unsigned twice = 0; twice < 2; twice++) {
        CHECK(mem_access(f.bt, 3 * PAGE + 5, 32, (struct mem_how){true, true, false, false}, &host));
        CHECK(host == f.ram.base + FRAMES + 60 * PAGE + 5);
    }
    CHECK(mem_access(f.bt, 4 * PAGE, 8, (struct mem_how){true, false, false, false}, &host));
    CHECK_EQ(*cell(&f, PT, 4) & PTE_D, 0);

    uint8_t pattern[16];
    for (unsigned i = 0; i < 16; i++)
        pattern[i] = (uint8_t)(i + 1);
    CHECK(!mem_access(f.bt, 7 * PAGE - 5, 16, (struct mem_how){false, true, false, false},
                      &host)); // across pages, write only
    CHECK_EQ((uintptr_t)host % 64, (7 * PAGE - 5) % 64);
    memcpy(host, pattern, 16);
    mem_commit(f.bt);
    CHECK(!memcmp(f.ram.base + FRAMES + 58 * PAGE - 5, pattern, 5));
    CHECK(!memcmp(f.ram.base + FRAMES + 56 * PAGE, pattern + 5, 11));
    CHECK(!mem_access(f.bt, 7 * PAGE - 5, 16, (struct mem_how){true, false, false, false}, &host));
    CHECK(!memcmp(host, pattern, 16));

    CHECK(!mem_access(f.bt, DEVICE_VA, 8, (struct mem_how){true, true, false, false}, &host)); // read, modify, write
    CHECK_EQ(*(uint64_t *)host, 0x1122334455667788);
    ++*(uint64_t *)host;
    mem_commit(f.bt);
    CHECK_EQ(device.value, 0x1122334455667789);
    CHECK(!mem_access(f.bt, DEVICE_VA + 16, 16, (struct mem_how){true, false, false, false}, &host)); // as two of 8
    CHECK_EQ(device.reads, 3);
    CHECK_EQ(device.size, 8);
    CHECK_EQ(FAULT(&f, mem_access(f.bt, 64 * PAGE - 63, 64, (struct mem_how){true, false, false, false}, &host)),
             PF(0));
    CHECK_EQ(FAULT(&f, mem_access(f.bt, (1ull << 47) - 1, 1, (struct mem_how){true, false, false, false}, &host)),
             PF(0));
    CHECK_EQ(FAULT(&f, mem_access(f.bt, 1ull << 47, 1, (struct mem_how){true, false, true, false}, &host)),
             VEC_SS << 16);
    tear_down(&f);
}

// A page that something was translated from: every way of writing to it is seen.
static void code_pages(void)
{
    struct bt_tables f;
    void *host;
    set_up(&f);
    if (!CHECK(x86_decoder_open(&f.bt->decoder) == 0))
        return;
    uint64_t frame = FRAMES + 53 * PAGE;
    *ram64(&f, frame) = 0xfeeb90; // nop; 1: jmp 1b
    mem_write(f.bt, 10 * PAGE + 64, 1, 0, false);
    f.bt->rip = 10 * PAGE;
    CHECK(tc_enter(f.bt));
    CHECK(tc_page_has_code(f.bt->tc, frame));
    CHECK(map_is_traced(f.bt->map, frame));
    CHECK(mem_plain(f.bt, 10 * PAGE, 1, false));
    CHECK(tc_page_has_code(f.bt->tc, frame));
    CHECK(mem_plain(f.bt, 10 * PAGE, 1, true)); // which is written now
    CHECK(!tc_page_has_code(f.bt->tc, frame));
    CHECK(tc_enter(f.bt));
    CHECK(!mem_access(f.bt, 10 * PAGE, 1, (struct mem_how){true, true, false, false}, &host));
    CHECK_EQ(*(uint8_t *)host, 0x90);
    *(uint8_t *)host = 0xf4;
    CHECK(tc_page_has_code(f.bt->tc, frame));
    mem_commit(f.bt);
    CHECK_EQ(*(f.ram.base + frame), 0xf4);
    CHECK(!tc_page_has_code(f.bt->tc, frame));
    CHECK(mem_access(f.bt, 10 * PAGE, 1, (struct mem_how){true, true, false, false}, &host));

    CHECK(tc_enter(f.bt));
    mem_write(f.bt, 10 * PAGE - 7, 8, 0x90ull << 56, false); // its last byte
    CHECK(!tc_page_has_code(f.bt->tc, frame));
    CHECK_EQ(*(f.ram.base + frame), 0x90);
    CHECK_EQ(f.vcpu.counters.n[EV_traced_writes], 3);
    x86_decoder_close(&f.bt->decoder);
    tear_down(&f);
}

// What a kick that nobody saw makes forget comes back, but for what a flush dropped.
static void forgotten_returns(void)
{
    struct bt_tables f;
    set_up(&f);
    const struct ccf caller = {.rip = 0x5671230};
    const uint8_t landing = 0;
    const uint64_t *entry = &f.bt->returns[0x1234], empty = *entry;
    tc_set_return(f.bt, &caller, 0x5671234, &landing);
    CHECK_EQ(*entry, (uint64_t)(uintptr_t)&landing);
    tc_forget_targets(f.bt);
    CHECK_EQ(*entry, empty);
    tc_remember_returns(f.bt);
    CHECK_EQ(*entry, (uint64_t)(uintptr_t)&landing);
    tc_forget_targets(f.bt);
    tc_flush(f.bt);
    tc_remember_returns(f.bt);
    CHECK_EQ(*entry, empty);
    tear_down(&f);
}

static void addresses(void)
{
    struct bt_tables f;
    set_up(&f);
    f.bt->gpr[RBX] = 0xffffffff00001000;
    f.bt->gpr[RSI] = 3;
    f.bt->gpr[RSP] = 0x5000;
    f.bt->seg_base[SEG_GS] = 0x100000000;
    struct insn in = {.addr_size = 8};
    struct x86_operand o = {.mem = {.base = RBX, .index = RSI, .shift = 3, .seg = X86_NO_SEG, .disp = -8}};
    CHECK_EQ(effective_address(f.bt, &in, &o), 0xffffffff00001010);
    o.mem.seg = SEG_GS;
    CHECK_EQ(effective_address(f.bt, &in, &o), 0x1010);
    in.addr_size = 4;
    CHECK_EQ(effective_address(f.bt, &in, &o), 0x100001010); // truncated before the base is added
    o.mem.base = X86_NO_REG;
    o.mem.index = X86_NO_REG;
    CHECK_EQ(effective_address(f.bt, &in, &o), 0x1fffffff8);
    tear_down(&f);
}

int main(int argc, char **argv)
{
    (void)argc;
    region_fix_layout(argv);
    plain_accesses();
    blocks();
    faults();
    privileges();
    alignment();
    flushes();
    devices();
    checked_operands();
    code_pages();
    forgotten_returns();
    addresses();
    return check_done("bt_memory");
}
