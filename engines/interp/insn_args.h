// SPDX-License-Identifier: BSD-2-Clause
// The arguments that insns.def gives to lowering functions of the core.
#ifndef RINGSIDE_INTERP_INSN_ARGS_H
#define RINGSIDE_INTERP_INSN_ARGS_H

// lower_jcc, lower_cmov, lower_setcc: condition codes as instructions encode them (SDM vol. 1, appendix B).
enum { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP, CC_L, CC_GE, CC_LE, CC_G };

// lower_loop
enum { LOOP_ALWAYS, LOOP_EQUAL, LOOP_NOT_EQUAL };

// transfer.c: which software interrupt
enum { INT_N, INT_3, INT_1 };

// descriptor.c
enum { TABLE_LGDT, TABLE_LIDT, TABLE_SGDT, TABLE_SIDT };
enum { SELECTOR_LDTR, SELECTOR_TR };
enum { ASK_LAR, ASK_LSL, ASK_VERR, ASK_VERW };

// control.c, msr.c
enum { MSW_STORE, MSW_LOAD };
enum { MSR_READ, MSR_WRITE };
enum { TSC_ALONE, TSC_AND_AUX };
enum { RANDOM_RDRAND, RANDOM_RDSEED };
enum { BASE_READ_FS, BASE_READ_GS, BASE_WRITE_FS, BASE_WRITE_GS };

// x87_control.c
enum {
    X87_FLDCW,
    X87_FNSTCW,
    X87_FNSTSW,
    X87_FNCLEX,
    X87_FNINIT,
    X87_NOTHING,
    X87_WAIT,
    X87_FNSTENV,
    X87_FLDENV,
    X87_FNSAVE,
    X87_FRSTOR
};

// misc.c
enum { LINE_CLFLUSH, LINE_CLFLUSHOPT, LINE_CLWB };

// io.c
enum { PORT_IN, PORT_OUT, PORT_INS, PORT_OUTS };
enum { FLAG_CLEAR, FLAG_SET };
#define PORT_DX (-1) // in place of a port's number

#endif
