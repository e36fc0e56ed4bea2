// SPDX-License-Identifier: BSD-2-Clause
// The arguments that insns.def gives to the lowering functions of the integer instructions.
#ifndef RINGSIDE_INTERP_INT_ARGS_H
#define RINGSIDE_INTERP_INT_ARGS_H

// lower_alu, lower_unary, lower_adx
enum { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST };
enum { UNARY_INC, UNARY_DEC, UNARY_NEG, UNARY_NOT };
enum { ADX_ADCX, ADX_ADOX };

// lower_shift, lower_double_shift, lower_bmi_shift
enum { SHIFT_ROL, SHIFT_ROR, SHIFT_RCL, SHIFT_RCR, SHIFT_SHL, SHIFT_SHR, SHIFT_SAR };
enum { SHIFT_LEFT_DOUBLE, SHIFT_RIGHT_DOUBLE };
enum { BMI_RORX, BMI_SARX, BMI_SHLX, BMI_SHRX };

// lower_mul and lower_div: signed or not
enum { UNSIGNED, SIGNED };

// lower_bit_test, lower_bit_scan, lower_bmi
enum { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };
enum { SCAN_BSF, SCAN_BSR, SCAN_TZCNT, SCAN_LZCNT };
enum { BMI_ANDN, BMI_BEXTR, BMI_BLSI, BMI_BLSMSK, BMI_BLSR, BMI_BZHI, BMI_PDEP, BMI_PEXT };

// lower_movx, lower_convert
enum { EXTEND_ZERO, EXTEND_SIGN, EXTEND_SIGN_LONG }; // movzx, movsx, movsxd
enum { CONVERT_CBW, CONVERT_CWDE, CONVERT_CDQE, CONVERT_CWD, CONVERT_CDQ, CONVERT_CQO };

// lower_flag_op
enum { FLAG_OP_CLC, FLAG_OP_STC, FLAG_OP_CMC, FLAG_OP_CLD, FLAG_OP_STD, FLAG_OP_LAHF, FLAG_OP_SAHF };

// lower_string
enum { STRING_MOVS, STRING_STOS, STRING_LODS, STRING_CMPS, STRING_SCAS };

// lower_decimal and lower_aam
enum { DECIMAL_AAA, DECIMAL_AAS, DECIMAL_DAA, DECIMAL_DAS, DECIMAL_SALC, DECIMAL_AAM, DECIMAL_AAD };

#endif
