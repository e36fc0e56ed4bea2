// SPDX-License-Identifier: BSD-2-Clause
// The x87 unit's registers, MMX's among them (SDM vol. 1, 8.1 and 9.2), and their place in an FXSAVE image.
#ifndef RINGSIDE_INTERP_X87_STATE_H
#define RINGSIDE_INTERP_X87_STATE_H

#include <stdbool.h>
#include <stdint.h>

// Status word
#define X87_IE 0x1u
#define X87_DE 0x2u
#define X87_ZE 0x4u
#define X87_OE 0x8u
#define X87_UE 0x10u
#define X87_PE 0x20u
#define X87_EXCEPTIONS 0x3fu // also the control word's masks
#define X87_SF 0x40u         // stack fault
#define X87_ES 0x80u         // an unmasked exception is pending
#define X87_C0 0x100u
#define X87_C1 0x200u
#define X87_C2 0x400u
#define X87_C3 0x4000u
#define X87_CONDITIONS (X87_C0 | X87_C1 | X87_C2 | X87_C3)
#define X87_TOP_SHIFT 11
#define X87_BUSY 0x8000u // a copy of ES

// Control word: the bits that can be written, and the one that is always set
#define X87_CW_DEFINED 0x1f7fu
#define X87_CW_FIXED 0x40u
#define X87_CW_INIT 0x37fu

struct x87_register {
    uint64_t mantissa; // of a value; an MMX register lies here
    uint16_t exponent; // with the sign
    uint16_t unused[3];
};

struct x87 {
    struct x87_register r[8]; // R0 to R7: st(i) is R((top + i) & 7), mm(i) is R(i)
    uint16_t cw;
    uint16_t sw;      // TOP is 0 here
    uint8_t top;      // 0 to 7
    uint8_t occupied; // a bit for each R that is not empty: FXSAVE's abridged tag word
    // Of the last instruction with an unmasked exception, or as loaded: what processors agree on (SDM vol. 1, 8.1.8,
    // and FDP_EXCPTN_ONLY of CPUID). The selectors are deprecated, and 0.
    uint16_t fop; // 11 bits
    uint64_t fip, fdp;

    uint64_t scratch; // a fast store's value before it is stored: a local variable would cost the handler its tail call

    // From cw and sw (x87_loaded):
    uint16_t run_cw; // cw with all exceptions masked
    uint8_t hold;    // not 0: no instruction may take its fast path (x87.h)
};

void x87_init(struct x87 *f);  // what fninit does
void x87_reset(struct x87 *f); // the registers, too: the initial configuration of SDM vol. 1, 13.6
// cw or sw were written: reserved bits, ES and what hangs on them are put right, as every load of the environment does.
void x87_loaded(struct x87 *f);

static inline uint16_t x87_status(const struct x87 *f)
{
    return (uint16_t)(f->sw | f->top << X87_TOP_SHIFT);
}
void x87_set_status(struct x87 *f, uint16_t sw); // TOP as well; x87_loaded() is the caller's to call

// Bytes 0 to 23 and 32 to 159 of an FXSAVE image (SDM vol. 1, 10.5.1), and of the legacy region of an XSAVE area, to
// and from f. wide: pointers of 64 bits, as with REX.W; else of 32 bits, with selectors.
enum { X87_IMAGE_BYTES = 160 };
void x87_to_image(const struct x87 *f, uint8_t *image, bool wide);
void x87_from_image(struct x87 *f, const uint8_t *image, bool wide);

#endif
