// SPDX-License-Identifier: BSD-2-Clause
// Data segments on the way to CPL 3: those that are not for it become null, whatever kind they are, and a null selector
// loses its RPL; conforming code is for everybody; gs keeps its base (SDM vol. 2, IRET and RET; vol. 3, 5.8.6 and
// 3.4.4).
#include "tests/guest/descriptors.h"
#include "tests/guest/judge.h"

IMAGE("return_segments");

static uint64_t table[LIBRARY_ENTRIES + OWN_ENTRIES] __attribute__((aligned(16)));
enum entry { DATA0, DATA3, DOWN0, READ_ONLY0, CONFORMING0, CODE0, CODE32_3, ENTRIES };

static struct {
    uint16_t ds, es, fs, gs;
} seen USER_DATA;

static USER_CODE uint64_t look(void *arg)
{
    __asm__ volatile("movw %%ds, %0; movw %%es, %1; movw %%fs, %2; movw %%gs, %3"
                     : "=m"(seen.ds), "=m"(seen.es), "=m"(seen.fs), "=m"(seen.gs));
    return (uint64_t)arg;
}

static void load_all(uint16_t selector)
{
    __asm__ volatile("movw %0, %%ds; movw %0, %%es; movw %0, %%fs; movw %0, %%gs" : : "r"(selector));
}

// What CPL 3 sees in all four, or 0xffff where they differ.
static uint16_t at_user(uint16_t selector)
{
    load_all(selector);
    write_msr(MSR_GS_BASE, 0x123456789000);
    run_user(look, NULL);
    uint64_t base = read_msr(MSR_GS_BASE);
    load_all(0);
    CHECK_EQ(base, 0x123456789000);
    return seen.ds == seen.es && seen.ds == seen.fs && seen.ds == seen.gs ? seen.ds : 0xffff;
}

int image_main(void)
{
    own_gdt(table);
    uint64_t *own = table + LIBRARY_ENTRIES, kind = D_S | D_P | D_DB | D_G | D_LIMIT(0xfffff);
    own[DATA0] = DATA_DESCRIPTOR(0);
    own[DATA3] = DATA_DESCRIPTOR(3);
    own[DOWN0] = kind | D_TYPE(TYPE_EXPAND_DOWN);
    own[READ_ONLY0] = kind | D_TYPE(TYPE_READ_ONLY);
    own[CONFORMING0] = kind | D_TYPE(TYPE_CONFORMING);
    own[CODE0] = kind | D_TYPE(TYPE_EXECUTE_READ);
    own[CODE32_3] = kind | D_TYPE(TYPE_EXECUTE_READ) | D_DPL(3);
    CHECK_EQ(at_user(OWN_SELECTOR(DATA0)), 0);
    CHECK_EQ(at_user(OWN_SELECTOR(DATA3)), OWN_SELECTOR(DATA3));
    CHECK_EQ(at_user(OWN_SELECTOR(DATA3) | 3), OWN_SELECTOR(DATA3) | 3);
    CHECK_EQ(at_user(OWN_SELECTOR(DOWN0)), 0);
    CHECK_EQ(at_user(OWN_SELECTOR(READ_ONLY0)), 0);
    CHECK_EQ(at_user(OWN_SELECTOR(CONFORMING0)), OWN_SELECTOR(CONFORMING0));
    CHECK_EQ(at_user(OWN_SELECTOR(CODE0)), 0);
    CHECK_EQ(at_user(OWN_SELECTOR(CODE32_3)), OWN_SELECTOR(CODE32_3));
    CHECK_EQ(at_user(0), 0);
    CHECK_EQ_NOT_QEMU(at_user(3), 0); // null becomes 0
    return 0;
}
