// SPDX-License-Identifier: BSD-2-Clause
// The arguments that insns.def gives to lowering functions of the core.
#ifndef RINGSIDE_INTERP_INSN_ARGS_H
#define RINGSIDE_INTERP_INSN_ARGS_H

// lower_jcc, lower_cmov, lower_setcc: condition codes as instructions encode them (SDM vol. 1, appendix B).
enum { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G };

// lower_loop
enum { LOOP_ALWAYS, LOOP_EQUAL, LOOP_NOT_EQUAL };

#endif
