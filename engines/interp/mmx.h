// SPDX-License-Identifier: BSD-2-Clause
// MMX registers as handlers use them, and the instructions of two MMX operands by name.
#ifndef RINGSIDE_INTERP_MMX_H
#define RINGSIDE_INTERP_MMX_H

#include "engines/interp/fault.h"

// #UD, #NM, #MF, in this order, before anything else (SDM vol. 3, 12.1 and 12.5).
_Noreturn void mmx_refuse(struct cpu *c, const struct op *op);
static inline void mmx_ready(struct cpu *c, const struct op *op)
{
    if (UNLIKELY((c->cr0 & (CR0_EM | CR0_TS)) | (c->x87.sw & X87_ES)))
        mmx_refuse(c, op);
}

// Every MMX instruction but emms leaves TOP 0 and no register empty; one that is written gets ones above its 64 bits
// (SDM vol. 3, table 12-1).
static inline uint64_t mmx_get(const struct cpu *c, unsigned mm)
{
    return c->x87.r[mm].mantissa;
}
static inline void mmx_used(struct cpu *c)
{
    c->x87.top = 0;
    c->x87.occupied = 0xff;
}
static inline void mmx_set(struct cpu *c, unsigned mm, uint64_t v)
{
    c->x87.r[mm].mantissa = v;
    c->x87.r[mm].exponent = 0xffff;
    mmx_used(c);
}

// MMX(mnemonic, instruction, bits that its memory operand has)
#define MMX_BINARY_INSNS(MMX)                                                                                          \
    MMX(PUNPCKLBW, punpcklbw, 32)                                                                                      \
    MMX(PUNPCKLWD, punpcklwd, 32)                                                                                      \
    MMX(PUNPCKLDQ, punpckldq, 32)                                                                                      \
    MMX(PUNPCKHBW, punpckhbw, 64)                                                                                      \
    MMX(PUNPCKHWD, punpckhwd, 64)                                                                                      \
    MMX(PUNPCKHDQ, punpckhdq, 64)                                                                                      \
    MMX(PACKSSWB, packsswb, 64)                                                                                        \
    MMX(PACKSSDW, packssdw, 64)                                                                                        \
    MMX(PACKUSWB, packuswb, 64)                                                                                        \
    MMX(PCMPGTB, pcmpgtb, 64)                                                                                          \
    MMX(PCMPGTW, pcmpgtw, 64)                                                                                          \
    MMX(PCMPGTD, pcmpgtd, 64)                                                                                          \
    MMX(PCMPEQB, pcmpeqb, 64)                                                                                          \
    MMX(PCMPEQW, pcmpeqw, 64)                                                                                          \
    MMX(PCMPEQD, pcmpeqd, 64)                                                                                          \
    MMX(PADDB, paddb, 64)                                                                                              \
    MMX(PADDW, paddw, 64)                                                                                              \
    MMX(PADDD, paddd, 64)                                                                                              \
    MMX(PADDQ, paddq, 64)                                                                                              \
    MMX(PADDSB, paddsb, 64)                                                                                            \
    MMX(PADDSW, paddsw, 64)                                                                                            \
    MMX(PADDUSB, paddusb, 64)                                                                                          \
    MMX(PADDUSW, paddusw, 64)                                                                                          \
    MMX(PSUBB, psubb, 64)                                                                                              \
    MMX(PSUBW, psubw, 64)                                                                                              \
    MMX(PSUBD, psubd, 64)                                                                                              \
    MMX(PSUBQ, psubq, 64)                                                                                              \
    MMX(PSUBSB, psubsb, 64)                                                                                            \
    MMX(PSUBSW, psubsw, 64)                                                                                            \
    MMX(PSUBUSB, psubusb, 64)                                                                                          \
    MMX(PSUBUSW, psubusw, 64)                                                                                          \
    MMX(PMULLW, pmullw, 64)                                                                                            \
    MMX(PMULHW, pmulhw, 64)                                                                                            \
    MMX(PMULHUW, pmulhuw, 64)                                                                                          \
    MMX(PMULUDQ, pmuludq, 64)                                                                                          \
    MMX(PMADDWD, pmaddwd, 64)                                                                                          \
    MMX(PAND, pand, 64)                                                                                                \
    MMX(PANDN, pandn, 64)                                                                                              \
    MMX(POR, por, 64)                                                                                                  \
    MMX(PXOR, pxor, 64)                                                                                                \
    MMX(PAVGB, pavgb, 64)                                                                                              \
    MMX(PAVGW, pavgw, 64)                                                                                              \
    MMX(PMINUB, pminub, 64)                                                                                            \
    MMX(PMINSW, pminsw, 64)                                                                                            \
    MMX(PMAXUB, pmaxub, 64)                                                                                            \
    MMX(PMAXSW, pmaxsw, 64)                                                                                            \
    MMX(PSADBW, psadbw, 64)                                                                                            \
    MMX(PSHUFB, pshufb, 64)                                                                                            \
    MMX(PHADDW, phaddw, 64)                                                                                            \
    MMX(PHADDD, phaddd, 64)                                                                                            \
    MMX(PHADDSW, phaddsw, 64)                                                                                          \
    MMX(PHSUBW, phsubw, 64)                                                                                            \
    MMX(PHSUBD, phsubd, 64)                                                                                            \
    MMX(PHSUBSW, phsubsw, 64)                                                                                          \
    MMX(PMADDUBSW, pmaddubsw, 64)                                                                                      \
    MMX(PMULHRSW, pmulhrsw, 64)                                                                                        \
    MMX(PSIGNB, psignb, 64)                                                                                            \
    MMX(PSIGNW, psignw, 64)                                                                                            \
    MMX(PSIGND, psignd, 64)                                                                                            \
    MMX(PABSB, pabsb, 64)                                                                                              \
    MMX(PABSW, pabsw, 64)                                                                                              \
    MMX(PABSD, pabsd, 64)                                                                                              \
    MMX(PSLLW, psllw, 64)                                                                                              \
    MMX(PSLLD, pslld, 64)                                                                                              \
    MMX(PSLLQ, psllq, 64)                                                                                              \
    MMX(PSRLW, psrlw, 64)                                                                                              \
    MMX(PSRLD, psrld, 64)                                                                                              \
    MMX(PSRLQ, psrlq, 64)                                                                                              \
    MMX(PSRAW, psraw, 64)                                                                                              \
    MMX(PSRAD, psrad, 64)

// Arguments of lowering functions in insns.def
#define MMX_ARGUMENT(mnemonic, name, bits) MMX_##mnemonic,
enum { MMX_BINARY_INSNS(MMX_ARGUMENT) MMX_PSHUFW, MMX_PALIGNR, MMX_PINSRW, MMX_PEXTRW, MMX_PMOVMSKB };

#endif
