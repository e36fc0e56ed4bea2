// SPDX-License-Identifier: BSD-2-Clause
// The tables' registers: lgdt, sgdt, lidt, sidt, lldt, sldt, ltr, str, and their errors (SDM vol. 2).
#include "tests/guest/descriptors.h"
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"

IMAGE("descriptors");

static uint64_t table[LIBRARY_ENTRIES + OWN_ENTRIES] __attribute__((aligned(16)));
static uint64_t ldt[4] __attribute__((aligned(16)));

#define TYPE_LDT 2
#define TYPE_TSS 9
#define TYPE_BUSY 11
#define LDT_ENTRY 0  // takes two
#define TSS_ENTRY 2  // takes two
#define ABSENT_LDT 4 // takes two
#define ABSENT_TSS 6 // takes two
#define HIGH_TSS 8   // takes two; base not canonical
#define BEYOND_LIMIT 0x7f8

static void do_lldt(void *selector)
{
    __asm__ volatile("lldt %w0" : : "r"(selector) : "memory");
}

static void do_ltr(void *selector)
{
    __asm__ volatile("ltr %w0" : : "r"(selector) : "memory");
}

static void do_lgdt(void *pointer)
{
    __asm__ volatile("lgdt (%0)" : : "r"(pointer) : "memory");
}

static void do_lidt(void *pointer)
{
    __asm__ volatile("lidt (%0)" : : "r"(pointer) : "memory");
}

static bool faults(void (*fn)(void *), uint64_t arg, int vector, uint64_t error)
{
    struct caught c = catch_fault(fn, (void *)arg);
    return c.vector == vector && (vector < 0 || c.error == error);
}

static void system_descriptor(unsigned entry, unsigned type, const void *base, uint64_t limit, uint64_t present)
{
    uint64_t *d = &table[LIBRARY_ENTRIES + entry];
    d[0] = D_TYPE(type) | present | D_BASE((uint64_t)base) | D_LIMIT(limit);
    d[1] = (uint64_t)base >> 32;
}

static void tables(void)
{
    struct table_pointer got = {0, 0};
    __asm__ volatile("sgdt %0" : "=m"(got));
    CHECK(got.limit == sizeof table - 1 && got.base == (uint64_t)table);
    __asm__ volatile("sidt %0" : "=m"(got));
    CHECK(got.limit == sizeof guest.idt - 1 && got.base == (uint64_t)guest.idt);
    static struct table_pointer hole = {0xff, BEYOND_57_BITS}, hole_48 = {0xff, BEYOND_48_BITS};
    struct caught lgdt = catch_fault(do_lgdt, &hole), lidt = catch_fault(do_lidt, &hole);
    struct caught lgdt_48 = catch_fault(do_lgdt, &hole_48), lidt_48 = catch_fault(do_lidt, &hole_48);
    own_gdt(table); // for a processor that took them
    do_lidt(&got);
    CHECK_EQ_NOT_QEMU(lgdt.vector, VEC_GP); // QEMU takes any base
    CHECK_EQ_NOT_QEMU(lidt.vector, VEC_GP);
    CHECK_EQ_NOT_QEMU(lgdt_48.vector, VEC_GP);
    CHECK_EQ_NOT_QEMU(lidt_48.vector, VEC_GP);
    __asm__ volatile("sgdt %0" : "=m"(got));
    CHECK(got.limit == sizeof table - 1 && got.base == (uint64_t)table);
}

static void local_table(void)
{
    uint64_t selector = ~0ull;
    __asm__ volatile("sldt %k0" : "+r"(selector));
    CHECK_EQ(selector, 0);
    system_descriptor(LDT_ENTRY, TYPE_LDT, ldt, sizeof ldt - 1, D_P);
    system_descriptor(ABSENT_LDT, TYPE_LDT, ldt, sizeof ldt - 1, 0);
    ldt[1] = DATA_DESCRIPTOR(0);
    do_lldt((void *)OWN_SELECTOR(LDT_ENTRY));
    __asm__ volatile("sldt %k0" : "+r"(selector));
    CHECK_EQ(selector, OWN_SELECTOR(LDT_ENTRY));
    uint16_t ds;
    __asm__ volatile("movl %1, %%es; movw %%es, %0; movl %2, %%es" : "=r"(ds) : "r"(0xc), "r"(KERNEL_DS));
    CHECK_EQ(ds, 0xc);
    CHECK(faults(do_lldt, OWN_SELECTOR(LDT_ENTRY) | 4, VEC_GP, OWN_SELECTOR(LDT_ENTRY) | 4)); // must be in the GDT
    CHECK(faults(do_lldt, KERNEL_DS, VEC_GP, KERNEL_DS));                                     // must be an LDT
    CHECK(faults(do_lldt, BEYOND_LIMIT, VEC_GP, BEYOND_LIMIT));
    CHECK(faults(do_lldt, OWN_SELECTOR(ABSENT_LDT), VEC_NP, OWN_SELECTOR(ABSENT_LDT)));
    do_lldt(NULL);
    CHECK(faults(do_lldt, 0, -1, 0));
}

static void task(void)
{
    uint64_t selector = ~0ull;
    __asm__ volatile("str %k0" : "+r"(selector));
    CHECK_EQ(selector, TSS_SELECTOR);
    system_descriptor(TSS_ENTRY, TYPE_TSS, &guest.tss, sizeof guest.tss - 1, D_P);
    system_descriptor(ABSENT_TSS, TYPE_TSS, &guest.tss, sizeof guest.tss - 1, 0);
    system_descriptor(HIGH_TSS, TYPE_TSS, (void *)BEYOND_57_BITS, sizeof guest.tss - 1, D_P);
    CHECK(faults(do_ltr, TSS_SELECTOR, VEC_GP, TSS_SELECTOR)); // busy
    CHECK_NOT_QEMU(faults(do_ltr, 0, VEC_GP, 0));              // QEMU loads a null selector
    CHECK(faults(do_ltr, KERNEL_DS, VEC_GP, KERNEL_DS));
    CHECK(faults(do_ltr, BEYOND_LIMIT, VEC_GP, BEYOND_LIMIT));
    CHECK(faults(do_ltr, OWN_SELECTOR(ABSENT_TSS), VEC_NP, OWN_SELECTOR(ABSENT_TSS)));
    CHECK(faults(do_ltr, OWN_SELECTOR(TSS_ENTRY), -1, 0));
    CHECK_EQ(table[LIBRARY_ENTRIES + TSS_ENTRY] >> 40 & 0x1f, TYPE_BUSY);
    __asm__ volatile("str %k0" : "+r"(selector));
    CHECK_EQ(selector, OWN_SELECTOR(TSS_ENTRY));
}

int image_main(void)
{
    own_gdt(table);
    tables();
    local_table();
    task();
    return 0;
}
