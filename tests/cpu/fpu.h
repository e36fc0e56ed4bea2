// SPDX-License-Identifier: BSD-2-Clause
// The x87, SSE and AVX registers of a case, and their place in an XSAVE image of the standard form (SDM vol. 1, 13.4).
// The pointers to the last x87 instruction are not there: processors differ in when they are kept (SDM vol. 1, 8.1.8).
#ifndef RINGSIDE_TESTS_CPU_FPU_H
#define RINGSIDE_TESTS_CPU_FPU_H

#include <stdint.h>

enum {
    FPU_IMAGE_BYTES = 832,
    X87_STATE_BYTES = 108, // of fsave, the x87's longest operand
    FPU_X87 = 1,           // components, as in XCR0
    FPU_SSE = 2,
    FPU_AVX = 4,
    MXCSR_DEFAULT = 0x1f80,
    FCW_DEFAULT = 0x37f,
};

struct fpu {
    uint16_t fcw, fsw;
    uint8_t ftw; // abridged: a bit for each register that is not empty
    uint32_t mxcsr;
    uint8_t st[8][10];   // st(0) to st(7)
    uint8_t ymm[16][32]; // upper halves 0 where there is no AVX
};

static inline void fpu_copy(void *to, const void *from, unsigned n)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}
static inline void fpu_fill(void *to, uint8_t with, unsigned n)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(with) : "memory");
}
static inline void fpu_zero(void *to, unsigned n)
{
    fpu_fill(to, 0, n);
}

// The first 832 bytes of an image, all three components present.
static inline void fpu_to_image(const struct fpu *f, uint8_t *image, uint64_t components)
{
    fpu_zero(image, FPU_IMAGE_BYTES);
    fpu_copy(image, &f->fcw, 2);
    fpu_copy(image + 2, &f->fsw, 2);
    image[4] = f->ftw;
    fpu_copy(image + 24, &f->mxcsr, 4);
    for (unsigned i = 0; i < 8; i++)
        fpu_copy(image + 32 + 16 * i, f->st[i], 10);
    for (unsigned i = 0; i < 16; i++) {
        fpu_copy(image + 160 + 16 * i, f->ymm[i], 16);
        if (components & FPU_AVX)
            fpu_copy(image + 576 + 16 * i, f->ymm[i] + 16, 16);
    }
    fpu_copy(image + 512, &components, 8);
}

// A component that the header says is in its initial state may have anything in its place (SDM vol. 1, 13.6).
static inline void fpu_from_image(struct fpu *f, const uint8_t *image, uint64_t components)
{
    uint64_t present;
    fpu_copy(&present, image + 512, 8);
    present &= components;
    fpu_zero(f, sizeof *f);
    fpu_copy(&f->mxcsr, image + 24, 4);
    f->fcw = FCW_DEFAULT;
    if (present & FPU_X87) {
        fpu_copy(&f->fcw, image, 2);
        fpu_copy(&f->fsw, image + 2, 2);
        f->ftw = image[4];
        for (unsigned i = 0; i < 8; i++)
            fpu_copy(f->st[i], image + 32 + 16 * i, 10);
    }
    for (unsigned i = 0; i < 16; i++) {
        if (present & FPU_SSE)
            fpu_copy(f->ymm[i], image + 160 + 16 * i, 16);
        if (present & FPU_AVX)
            fpu_copy(f->ymm[i] + 16, image + 576 + 16 * i, 16);
    }
}

#endif
