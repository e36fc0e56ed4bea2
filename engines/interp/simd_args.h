// SPDX-License-Identifier: BSD-2-Clause
// The arguments that insns.def gives to the lowering functions of SSE and AVX instructions.
#ifndef RINGSIDE_INTERP_SIMD_ARGS_H
#define RINGSIDE_INTERP_SIMD_ARGS_H

// Rows of the templates' tables: simd_int.def, simd_float.def
#define SIMD(name, ...) SIMD_##name,
#define SIMD_VEX SIMD
#define SIMD_LEGACY SIMD
#define FMA SIMD
enum {
#include "engines/interp/simd_int.def"
};
// cmpsd is a string instruction too: these have lower_simd_compare, and lower_string hands it on.
#define COMPARE_INSNS(ROW)                                                                                             \
    ROW(CMPPS, SSE, FULL)                                                                                              \
    ROW(CMPPD, SSE2, FULL)                                                                                             \
    ROW(CMPSS, SSE, SCALAR4)                                                                                           \
    ROW(CMPSD, SSE2, SCALAR8)
enum {
#include "engines/interp/simd_float.def"
    COMPARE_INSNS(SIMD)
};
#undef SIMD
#undef SIMD_VEX
#undef SIMD_LEGACY
#undef FMA

// lower_simd_move: whole registers, and their parts
enum { MOVE_ALIGNED, MOVE_UNALIGNED, MOVE_LOW, MOVE_HIGH, MOVE_SS, MOVE_SD };

// lower_simd_element
enum {
    ELEMENT_PINSRB,
    ELEMENT_PINSRW,
    ELEMENT_PINSRD,
    ELEMENT_PINSRQ,
    ELEMENT_PEXTRB,
    ELEMENT_PEXTRW,
    ELEMENT_PEXTRD,
    ELEMENT_PEXTRQ
};

// lower_simd_mask, lower_simd_test, lower_simd_comis
enum { MASK_PS, MASK_PD, MASK_B };
enum { TEST_ALL, TEST_PS, TEST_PD };
enum { COMIS_SS, COMIS_SD, COMIS_UNORDERED_SS, COMIS_UNORDERED_SD };

// lower_simd_from_int, lower_simd_to_int
enum { INT_SS, INT_SD };
enum { ROUND_SS, ROUND_SD, TRUNCATE_SS, TRUNCATE_SD };

// lower_simd_blendv
enum { BLENDV_B, BLENDV_PS, BLENDV_PD };

// lower_permil, lower_gather (index and element), lower_maskmov
enum { PERMIL_PS, PERMIL_PD };
enum { GATHER_DD, GATHER_DQ, GATHER_QD, GATHER_QQ };
enum { MASKMOV_PS, MASKMOV_PD, MASKMOV_D, MASKMOV_Q };

// lower_pcmpstr: bit 0 gives a mask, not an index; bit 1: the length is implicit
enum { PCMPSTR_EI, PCMPSTR_EM, PCMPSTR_II, PCMPSTR_IM };

// lower_simd_mmx
enum {
    SIMD_MMX_CVTPI2PS,
    SIMD_MMX_CVTPI2PD,
    SIMD_MMX_CVTPS2PI,
    SIMD_MMX_CVTPD2PI,
    SIMD_MMX_CVTTPS2PI,
    SIMD_MMX_CVTTPD2PI,
    SIMD_MMX_MOVQ2DQ,
    SIMD_MMX_MOVDQ2Q
};

// lower_xsave, lower_xcr
enum { XSAVE_FXSAVE, XSAVE_FXRSTOR, XSAVE_XSAVE, XSAVE_XRSTOR, XSAVE_XSAVEOPT };
enum { XCR_READ, XCR_WRITE };

// lower_mxcsr, lower_vzero
enum { MXCSR_LOAD, MXCSR_STORE };
enum { VZERO_UPPER, VZERO_ALL };

#endif
