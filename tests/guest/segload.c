// SPDX-License-Identifier: BSD-2-Clause
// Loads of ds, es, fs, gs and ss: type, DPL and present checks with their errors, null selectors, the accessed bit, and
// that fs and gs loads set their bases (SDM vol. 3, 5.5, 5.6; vol. 2, MOV).
#include "tests/guest/descriptors.h"
#include "tests/guest/judge.h"

IMAGE("segload");

static uint64_t table[LIBRARY_ENTRIES + OWN_ENTRIES] __attribute__((aligned(16)));

enum entry { DATA0, DATA3, ABSENT, READ_ONLY, EXECUTE, CODE0, CONFORMING, SYSTEM, BASED, DATA1 };
#define SELECTOR(entry) ((uint64_t)OWN_SELECTOR(entry))

static void load_ds(void *selector)
{
    __asm__ volatile("movl %k0, %%ds" : : "r"(selector) : "memory");
}

static void load_fs(void *selector)
{
    __asm__ volatile("movl %k0, %%fs" : : "r"(selector) : "memory");
}

static void load_ss(void *selector)
{
    __asm__ volatile("movl %k0, %%ss" : : "r"(selector) : "memory");
}

static USER_CODE uint64_t user_load_ds(void *selector)
{
    __asm__ volatile("movl %k0, %%ds" : : "r"(selector) : "memory");
    return 0;
}

static USER_CODE uint64_t user_load_ss(void *selector)
{
    __asm__ volatile("movl %k0, %%ss" : : "r"(selector) : "memory");
    return 0;
}

static void at3_load_ds(void *selector)
{
    run_user(user_load_ds, selector);
}

static void at3_load_ss(void *selector)
{
    run_user(user_load_ss, selector);
}

#define OK (-1)
static bool gives(void (*fn)(void *), uint64_t selector, int vector)
{
    struct caught c = catch_fault(fn, (void *)selector);
    return c.vector == vector && (vector < 0 || c.error == (selector & 0xfffc));
}

static void fill_table(void)
{
    uint64_t *own = &table[LIBRARY_ENTRIES];
    own[DATA0] = DATA_DESCRIPTOR(0);
    own[DATA1] = DATA_DESCRIPTOR(1);
    own[DATA3] = DATA_DESCRIPTOR(3);
    own[ABSENT] = DATA_DESCRIPTOR(0) & ~D_P;
    own[READ_ONLY] = DATA_DESCRIPTOR(0) & ~D_TYPE(TYPE_READ_WRITE);
    own[EXECUTE] = D_TYPE(TYPE_EXECUTE) | D_S | D_P | D_L;
    own[CODE0] = CODE64_DESCRIPTOR(0);
    own[CONFORMING] = D_TYPE(TYPE_CONFORMING) | D_S | D_P | D_L;
    own[SYSTEM] = D_TYPE(TYPE_READ_WRITE) | D_P;
    own[BASED] = DATA_DESCRIPTOR(0) | D_BASE(0x12345678);
}

static void data_segments(void)
{
    CHECK(gives(load_ds, SELECTOR(DATA0), OK));
    CHECK_EQ(table[LIBRARY_ENTRIES + DATA0] >> 40 & 1, 1); // accessed
    CHECK(gives(load_ds, SELECTOR(DATA0) | 1, VEC_GP));    // RPL above DPL
    CHECK(gives(load_ds, SELECTOR(DATA3) | 3, OK));
    CHECK(gives(load_ds, SELECTOR(ABSENT), VEC_NP));
    CHECK_EQ(table[LIBRARY_ENTRIES + ABSENT] >> 40 & 1, 0);
    CHECK(gives(load_ds, SELECTOR(READ_ONLY), OK));
    CHECK(gives(load_ds, SELECTOR(EXECUTE), VEC_GP)); // not readable
    CHECK(gives(load_ds, SELECTOR(CODE0), OK));
    CHECK(gives(load_ds, SELECTOR(CONFORMING) | 3, OK));
    CHECK(gives(load_ds, SELECTOR(SYSTEM), VEC_GP));
    CHECK(gives(load_ds, 0xfff8, VEC_GP));              // beyond the limit
    CHECK(gives(load_ds, SELECTOR(DATA0) | 4, VEC_GP)); // no LDT
    for (uint64_t null = 0; null < 4; null++)
        CHECK(gives(load_ds, null, OK));
    *(volatile uint64_t *)table; // a null ds does not matter in 64-bit mode
    load_ds((void *)KERNEL_DS);
}

static void stack_segment(void)
{
    CHECK(gives(load_ss, SELECTOR(DATA0), OK));
    CHECK(gives(load_ss, SELECTOR(DATA0) | 3, VEC_GP));
    CHECK(gives(load_ss, SELECTOR(DATA3), VEC_GP)); // DPL must be the CPL
    CHECK(gives(load_ss, SELECTOR(READ_ONLY), VEC_GP));
    CHECK(gives(load_ss, SELECTOR(CODE0), VEC_GP));
    CHECK(gives(load_ss, SELECTOR(ABSENT), VEC_SS));
    CHECK(gives(load_ss, 0, OK));              // allowed below CPL 3 in 64-bit mode
    CHECK_NOT_QEMU(gives(load_ss, 3, VEC_GP)); // a null one, too, has to have the CPL as RPL; QEMU does not look
    load_ss((void *)KERNEL_DS);
}

static void from_cpl3(void)
{
    CHECK(gives(at3_load_ds, SELECTOR(DATA0), VEC_GP));
    CHECK(gives(at3_load_ds, SELECTOR(DATA1) | 3, VEC_GP));
    CHECK(gives(at3_load_ds, SELECTOR(DATA3), OK));
    CHECK(gives(at3_load_ds, SELECTOR(CONFORMING), OK));
    CHECK(gives(at3_load_ss, SELECTOR(DATA3) | 3, OK));
    CHECK(gives(at3_load_ss, SELECTOR(DATA3), VEC_GP)); // RPL must be the CPL
    CHECK(gives(at3_load_ss, 0, VEC_GP));
    CHECK(gives(at3_load_ss, 3, VEC_GP));
}

static void bases(void)
{
    write_msr(MSR_FS_BASE, 0x0000111122223333);
    load_fs((void *)SELECTOR(BASED));
    CHECK_EQ(read_msr(MSR_FS_BASE), 0x12345678);
    load_fs((void *)SELECTOR(DATA0));
    CHECK_EQ(read_msr(MSR_FS_BASE), 0);
    uint16_t fs;
    __asm__ volatile("movw %%fs, %0" : "=r"(fs));
    CHECK_EQ(fs, SELECTOR(DATA0));
    __asm__ volatile("pushq %1; popq %%gs; movw %%gs, %0" : "=r"(fs) : "r"(SELECTOR(BASED)) : "memory");
    CHECK_EQ(fs, SELECTOR(BASED));
    CHECK_EQ(read_msr(MSR_GS_BASE), 0x12345678);
    load_fs(NULL);
    __asm__ volatile("movl %0, %%gs" : : "r"(0));
}

int image_main(void)
{
    own_gdt(table);
    fill_table();
    data_segments();
    stack_segment();
    from_cpl3();
    bases();
    return 0;
}
