// SPDX-License-Identifier: BSD-2-Clause
// How far an instruction is read that there is not: #UD where its bytes say so at the end of a page, the fault of the
// next page where they do not, and #GP where 15 of them are not enough (SDM vol. 2, 2.3.11; vol. 3, 6.9 and 6.15).
#include "tests/guest/access.h"
#include "tests/guest/judge.h"

IMAGE("undefined_border");

#define BORDER (TEST_VA + PAGE)

static uint8_t *frames[2];

static void put(uint64_t at, const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++, at++)
        frames[at >= BORDER][at % PAGE] = bytes[i];
}

static bool is_amd(void)
{
    return cpuid(0, 0).ebx == 0x68747541; // "Auth"
}

// Bytes at the end of a page behind which there is none.
static struct caught at_border(const uint8_t *bytes, unsigned n)
{
    remap(BORDER, 0);
    put(BORDER - n, bytes, n);
    return catch_fault(fetch, (void *)(BORDER - n));
}

// What is no instruction is #UD, where its bytes say so without the next page.
static void undefined_at_border(void)
{
    static const struct {
        uint8_t n, byte[3];
    } undefined[] = {{1, {0x06}},       {1, {0x60}},       {2, {0x0f, 0x0b}}, {2, {0x0f, 0x04}},
                     {2, {0x8d, 0xc0}}, {2, {0xff, 0xf8}}, {2, {0x8e, 0xc8}}, {3, {0x0f, 0xc7, 0xc0}},
                     {2, {0xf0, 0x90}}};
    static const uint8_t unknown[] = {0x0f, 0xba};
    for (unsigned i = 0; i < sizeof undefined / sizeof undefined[0]; i++) {
        struct caught c = at_border(undefined[i].byte, undefined[i].n);
        CHECK(c.vector == VEC_UD && c.rip == BORDER - undefined[i].n);
    }
    struct caught c = at_border(unknown, sizeof unknown);
    CHECK(c.vector == VEC_PF && c.error == PF_FETCH && c.cr2 == BORDER);
}

// 15 bytes that do not end are too many, whatever the sixteenth is, and where it is: Intel's processors do not fetch it
// (AMD's have not been seen, and QEMU has the fault of its page).
static void too_long_at_border(void)
{
    static const uint8_t last[][2] = {{0x66, 0x66}, {0x66, 0x0f}, {0x66, 0x81}, {0x0f, 0xba}, {0x81, 0xc0}};
    uint8_t code[20];
    for (unsigned i = 0; i < sizeof last / sizeof last[0]; i++) {
        for (unsigned j = 0; j < sizeof code; j++)
            code[j] = j < 13 ? 0x66 : j < 15 ? last[i][j - 13] : 0x90;
        struct caught c = at_border(code, 15);
        CHECK_NOT_QEMU((c.vector == VEC_GP && c.error == 0) || (c.vector == VEC_PF && is_amd()));
        CHECK_NOT_QEMU(c.rip == BORDER - 15);
        remap(BORDER, phys_of(frames[1]) | PTE_P);
        for (unsigned before = 1; before < 16; before++) {
            put(BORDER - before, code, sizeof code);
            c = catch_fault(fetch, (void *)(BORDER - before));
            CHECK(c.vector == VEC_GP && c.error == 0 && c.rip == BORDER - before);
        }
    }
}

int image_main(void)
{
    frames[0] = page_alloc(), frames[1] = page_alloc();
    map_page(TEST_VA, phys_of(frames[0]), PTE_P);
    map_page(BORDER, 0, 0);
    undefined_at_border();
    too_long_at_border();
    return 0;
}
