// SPDX-License-Identifier: BSD-2-Clause
// cr4.PCIDE: address spaces side by side in the TLB, cr3's no-flush bit, what is #GP, and invpcid's four kinds (SDM
// vol. 3, 4.10.1, 4.10.4.1; vol. 2, INVPCID).
#include "tests/guest/access.h"
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"

IMAGE("pcid");

static uint64_t spaces[2]; // physical addresses of two level-4 tables, alike but for TEST_VA

static void set_cr3(void *value)
{
    write_cr3((uint64_t)value);
}

static void set_cr4(void *value)
{
    write_cr4((uint64_t)value);
}

static int vector_of(void (*fn)(void *), uint64_t value)
{
    return catch_fault(fn, (void *)value).vector;
}

struct invpcid {
    uint64_t kind, descriptor[2];
};

static void invpcid(void *arg)
{
    struct invpcid *i = arg;
    __asm__ volatile("invpcid %1, %0" : : "r"(i->kind), "m"(i->descriptor) : "memory");
}

static int vector_of_invpcid(uint64_t kind, uint64_t pcid, uint64_t address)
{
    struct invpcid i = {kind, {pcid, address}};
    return catch_fault(invpcid, &i).vector;
}

static uint8_t seen_in(unsigned space, uint64_t bits)
{
    write_cr3(spaces[space] | (space + 1) | bits);
    return *(volatile uint8_t *)TEST_VA;
}

static void make_spaces(void)
{
    uint64_t *original = (uint64_t *)(read_cr3() + KERNEL_VIRT_BASE), old = read_cr3();
    for (unsigned i = 0; i < 2; i++) {
        uint64_t *table = page_alloc();
        for (unsigned k = 0; k < 512; k++)
            table[k] = original[k];
        spaces[i] = phys_of(table);
        write_cr3(spaces[i]);
        uint8_t *page = page_alloc();
        *page = (uint8_t)('a' + i);
        map_page(TEST_VA, phys_of(page), PTE_P | PTE_W);
    }
    write_cr3(old);
}

static void rules(uint64_t cr3)
{
    CHECK_EQ(vector_of(set_cr3, cr3 | CR3_NOFLUSH), VEC_GP); // reserved without PCIDE
    write_cr3(cr3 | 8);                                      // PWT
    CHECK_EQ(vector_of(set_cr4, read_cr4() | CR4_PCIDE), VEC_GP);
    write_cr3(cr3);
    CHECK_EQ(vector_of(set_cr4, read_cr4() | CR4_PCIDE), -1);
    CHECK_EQ(vector_of(set_cr3, cr3 | 0xfff | CR3_NOFLUSH), -1);
    CHECK_EQ(read_cr3(), cr3 | 0xfff); // the bit is an order and not kept
    CHECK_EQ(vector_of(set_cr3, cr3 | 1ull << 62), VEC_GP);
}

static void switches(void)
{
    CHECK_EQ(seen_in(0, 0), 'a');
    CHECK_EQ(seen_in(1, 0), 'b');
    CHECK_EQ(seen_in(0, CR3_NOFLUSH), 'a');
    CHECK_EQ(seen_in(1, CR3_NOFLUSH), 'b');
    uint64_t *entry = pte_of(TEST_VA, 1);
    uint8_t *page = page_alloc();
    *page = 'c';
    *entry = phys_of(page) | PTE_P;
    seen_in(0, CR3_NOFLUSH);
    uint8_t got = seen_in(1, CR3_NOFLUSH);
    CHECK(got == 'b' || got == 'c');
    CHECK_EQ(seen_in(1, 0), 'c');
    CHECK_EQ(seen_in(0, CR3_NOFLUSH), 'a');
}

static void invpcids(void)
{
    if (!HAS_INVPCID) {
        skip("no invpcid");
        return;
    }
    uint8_t *pages[4];
    for (unsigned kind = 0; kind < 4; kind++) {
        seen_in(1, CR3_NOFLUSH);
        uint64_t *entry = pte_of(TEST_VA, 1);
        pages[kind] = page_alloc();
        *pages[kind] = (uint8_t)('0' + kind);
        *entry = phys_of(pages[kind]) | PTE_P;
        seen_in(0, CR3_NOFLUSH);
        CHECK_EQ(vector_of_invpcid(kind, kind < 2 ? 2 : 0, kind ? 0 : TEST_VA), -1);
        CHECK_EQ(seen_in(1, CR3_NOFLUSH), '0' + kind);
    }
    CHECK_EQ(vector_of_invpcid(4, 0, 0), VEC_GP);
    CHECK_EQ(vector_of_invpcid(1ull << 32, 0, 0), VEC_GP);
    CHECK_EQ(vector_of_invpcid(1, 0x1000, 0), VEC_GP);
    CHECK_EQ(vector_of_invpcid(0, 0, 0x800000000000), VEC_GP);
}

int image_main(void)
{
    uint64_t cr3 = read_cr3();
    if (!HAS_PCID) {
        skip("no PCID");
        CHECK_EQ_NOT_QEMU(vector_of(set_cr4, read_cr4() | CR4_PCIDE), VEC_GP);
        return 0;
    }
    make_spaces();
    rules(cr3);
    switches();
    invpcids();
    write_cr3(cr3);
    CHECK_EQ(vector_of(set_cr4, read_cr4() & ~(uint64_t)CR4_PCIDE), -1);
    CHECK_EQ(vector_of(set_cr3, cr3 | CR3_NOFLUSH), VEC_GP);
    return 0;
}
