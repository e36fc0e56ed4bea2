// SPDX-License-Identifier: BSD-2-Clause
// The x87 unit's state as a whole: initialised, loaded, and in FXSAVE's form.
#include "engines/interp/x87_state.h"

#include <string.h>

// Offsets in an FXSAVE image (SDM vol. 1, table 10-2)
enum { IMAGE_CW = 0, IMAGE_SW = 2, IMAGE_TAGS = 4, IMAGE_FOP = 6, IMAGE_FIP = 8, IMAGE_FDP = 16, IMAGE_ST = 32 };
#define FOP_BITS 0x7ffu

void x87_init(struct x87 *f)
{
    f->cw = X87_CW_INIT;
    f->sw = 0;
    f->top = 0;
    f->occupied = 0;
    f->fop = 0;
    f->fip = f->fdp = 0;
    x87_loaded(f);
}

void x87_reset(struct x87 *f)
{
    memset(f, 0, sizeof *f);
    x87_init(f);
}

// ES and B say whether an exception is set that is not masked, whatever was loaded for them.
void x87_loaded(struct x87 *f)
{
    f->cw = (f->cw & X87_CW_DEFINED) | X87_CW_FIXED;
    f->sw &= X87_EXCEPTIONS | X87_SF | X87_CONDITIONS;
    if (f->sw & ~f->cw & X87_EXCEPTIONS)
        f->sw |= X87_ES | X87_BUSY;
    f->run_cw = f->cw | X87_EXCEPTIONS;
    f->hold = (f->sw & X87_ES) || !(f->cw & X87_UE);
}

void x87_set_status(struct x87 *f, uint16_t sw)
{
    f->sw = sw & ~(7u << X87_TOP_SHIFT);
    f->top = sw >> X87_TOP_SHIFT & 7;
}

void x87_to_image(const struct x87 *f, uint8_t *image, bool wide)
{
    uint16_t sw = x87_status(f);
    memcpy(image + IMAGE_CW, &f->cw, 2);
    memcpy(image + IMAGE_SW, &sw, 2);
    image[IMAGE_TAGS] = f->occupied;
    image[IMAGE_TAGS + 1] = 0;
    memcpy(image + IMAGE_FOP, &f->fop, 2);
    uint64_t fip = wide ? f->fip : (uint32_t)f->fip, fdp = wide ? f->fdp : (uint32_t)f->fdp;
    memcpy(image + IMAGE_FIP, &fip, 8);
    memcpy(image + IMAGE_FDP, &fdp, 8);
    for (unsigned i = 0; i < 8; i++) {
        const struct x87_register *r = &f->r[(f->top + i) & 7];
        uint8_t *to = image + IMAGE_ST + 16 * i;
        memset(to, 0, 16);
        memcpy(to, &r->mantissa, 8);
        memcpy(to + 8, &r->exponent, 2);
    }
}

void x87_from_image(struct x87 *f, const uint8_t *image, bool wide)
{
    uint16_t sw;
    memcpy(&f->cw, image + IMAGE_CW, 2);
    memcpy(&sw, image + IMAGE_SW, 2);
    x87_set_status(f, sw);
    f->occupied = image[IMAGE_TAGS];
    memcpy(&f->fop, image + IMAGE_FOP, 2);
    f->fop &= FOP_BITS;
    memcpy(&f->fip, image + IMAGE_FIP, 8);
    memcpy(&f->fdp, image + IMAGE_FDP, 8);
    if (!wide) {
        f->fip = (uint32_t)f->fip;
        f->fdp = (uint32_t)f->fdp;
    }
    for (unsigned i = 0; i < 8; i++) {
        struct x87_register *r = &f->r[(f->top + i) & 7];
        const uint8_t *from = image + IMAGE_ST + 16 * i;
        memcpy(&r->mantissa, from, 8);
        memcpy(&r->exponent, from + 8, 2);
    }
    x87_loaded(f);
}
