// SPDX-License-Identifier: BSD-2-Clause
// Control register values that are #GP(0) and leave the register as it was (SDM vol. 3, 2.5; vol. 2, MOV CR). No image
// for QEMU, which takes some of them and does not come back.
#include "guest/insn.h"
#include "guest/lib.h"
#include "tests/guest/judge.h"

IMAGE("crs_refused");

#define WRITER(n)                                                                                                      \
    static void set_cr##n(void *value)                                                                                 \
    {                                                                                                                  \
        write_cr##n((uint64_t)value);                                                                                  \
    }
WRITER(0);
WRITER(3);
WRITER(4);
WRITER(8);

static bool refuses(void (*set)(void *), uint64_t value)
{
    struct caught c = catch_fault(set, (void *)value);
    return c.vector == VEC_GP && c.error == 0;
}

int image_main(void)
{
    uint64_t cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();
    CHECK_NOT_QEMU(refuses(set_cr0, cr0 | CR0_NW));            // NW without CD
    CHECK_NOT_QEMU(refuses(set_cr0, cr0 & ~(uint64_t)CR0_PE)); // PG without PE
    CHECK_NOT_QEMU(refuses(set_cr0, cr0 & ~(uint64_t)CR0_PG)); // in 64-bit mode
    CHECK_NOT_QEMU(refuses(set_cr0, cr0 | 1ull << 32));
    CHECK_NOT_QEMU(read_cr0() == cr0);
    CHECK_NOT_QEMU(refuses(set_cr3, cr3 | 1ull << 62));
    CHECK_NOT_QEMU(read_cr3() == cr3);
    CHECK_NOT_QEMU(refuses(set_cr4, cr4 & ~(uint64_t)CR4_PAE)); // not in long mode
    CHECK_NOT_QEMU(refuses(set_cr4, cr4 | CR4_LA57));           // nor this
    CHECK_NOT_QEMU(refuses(set_cr4, cr4 | 1ull << 31));
    CHECK_NOT_QEMU(refuses(set_cr4, cr4 | 1ull << 63));
    CHECK_NOT_QEMU(read_cr4() == cr4);
    CHECK_NOT_QEMU(refuses(set_cr8, 16));
    CHECK_NOT_QEMU(refuses(set_cr8, 1ull << 63));
    CHECK_NOT_QEMU(read_cr8() == 0);
    return 0;
}
