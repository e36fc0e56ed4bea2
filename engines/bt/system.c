// SPDX-License-Identifier: BSD-2-Clause
// Which function emulates which instruction: X86_INS_* to emulation, with the operand forms of MOV, PUSH and POP that
// name a control, debug or segment register told from the ordinary ones.
#include "engines/bt/emulations.h"

// Privileged and sensitive instructions in any form. What the guest's CPUID does not announce is #UD.
static emulate_fn *const system_rows[X86_INS_ENDING] = {
    [X86_INS_INT] = emulate_int,
    [X86_INS_INT3] = emulate_int3,
    [X86_INS_INT1] = emulate_int1,
    [X86_INS_IRET] = emulate_iret,
    [X86_INS_IRETD] = emulate_iret,
    [X86_INS_IRETQ] = emulate_iret,
    [X86_INS_RETF] = emulate_far_ret,
    [X86_INS_RETFQ] = emulate_far_ret,
    [X86_INS_LCALL] = emulate_far_call,
    [X86_INS_LJMP] = emulate_far_jmp,
    [X86_INS_SYSCALL] = emulate_syscall,
    [X86_INS_SYSRET] = emulate_sysret,
    [X86_INS_LFS] = emulate_load_far,
    [X86_INS_LGS] = emulate_load_far,
    [X86_INS_LSS] = emulate_load_far,
    [X86_INS_LGDT] = emulate_lgdt,
    [X86_INS_LIDT] = emulate_lidt,
    [X86_INS_SGDT] = emulate_sgdt,
    [X86_INS_SIDT] = emulate_sidt,
    [X86_INS_LLDT] = emulate_lldt,
    [X86_INS_LTR] = emulate_ltr,
    [X86_INS_SLDT] = emulate_sldt,
    [X86_INS_STR] = emulate_str,
    [X86_INS_LAR] = emulate_lar,
    [X86_INS_LSL] = emulate_lsl,
    [X86_INS_VERR] = emulate_verr,
    [X86_INS_VERW] = emulate_verw,
    [X86_INS_SMSW] = emulate_smsw,
    [X86_INS_LMSW] = emulate_lmsw,
    [X86_INS_CLTS] = emulate_clts,
    [X86_INS_INVLPG] = emulate_invlpg,
    [X86_INS_INVPCID] = emulate_invpcid,
    [X86_INS_RDMSR] = emulate_rdmsr,
    [X86_INS_WRMSR] = emulate_wrmsr,
    [X86_INS_CPUID] = emulate_cpuid,
    [X86_INS_RDTSC] = emulate_rdtsc,
    [X86_INS_RDTSCP] = emulate_rdtscp,
    [X86_INS_RDPID] = emulate_rdpid,
    [X86_INS_RDPMC] = emulate_rdpmc,
    [X86_INS_SWAPGS] = emulate_swapgs,
    [X86_INS_RDFSBASE] = emulate_read_base,
    [X86_INS_RDGSBASE] = emulate_read_base,
    [X86_INS_WRFSBASE] = emulate_write_base,
    [X86_INS_WRGSBASE] = emulate_write_base,
    [X86_INS_IN] = emulate_in,
    [X86_INS_OUT] = emulate_out,
    [X86_INS_INSB] = emulate_ins,
    [X86_INS_INSW] = emulate_ins,
    [X86_INS_INSD] = emulate_ins,
    [X86_INS_OUTSB] = emulate_outs,
    [X86_INS_OUTSW] = emulate_outs,
    [X86_INS_OUTSD] = emulate_outs,
    [X86_INS_CLI] = emulate_cli,
    [X86_INS_STI] = emulate_sti,
    [X86_INS_CLAC] = emulate_clac,
    [X86_INS_STAC] = emulate_stac,
    [X86_INS_HLT] = emulate_hlt,
    [X86_INS_WBINVD] = emulate_wbinvd,
    [X86_INS_INVD] = emulate_wbinvd,
    [X86_INS_PUSHF] = emulate_pushf,
    [X86_INS_PUSHFQ] = emulate_pushf,
    [X86_INS_POPF] = emulate_popf,
    [X86_INS_POPFQ] = emulate_popf,
    [X86_INS_UD0] = emulate_undefined,
    [X86_INS_UD2] = emulate_undefined,
    [X86_INS_UD2B] = emulate_undefined,
    [X86_INS_SYSENTER] = emulate_undefined,
    [X86_INS_SYSEXIT] = emulate_undefined,
    [X86_INS_XSETBV] = emulate_xsetbv,
    [X86_INS_MONITOR] = emulate_undefined,
    [X86_INS_MWAIT] = emulate_undefined,
    [X86_INS_RSM] = emulate_undefined,
    [X86_INS_GETSEC] = emulate_undefined,
    [X86_INS_INVEPT] = emulate_undefined,
    [X86_INS_INVVPID] = emulate_undefined,
    [X86_INS_VMCALL] = emulate_undefined,
    [X86_INS_VMCLEAR] = emulate_undefined,
    [X86_INS_VMFUNC] = emulate_undefined,
    [X86_INS_VMLAUNCH] = emulate_undefined,
    [X86_INS_VMPTRLD] = emulate_undefined,
    [X86_INS_VMPTRST] = emulate_undefined,
    [X86_INS_VMREAD] = emulate_undefined,
    [X86_INS_VMRESUME] = emulate_undefined,
    [X86_INS_VMWRITE] = emulate_undefined,
    [X86_INS_VMXOFF] = emulate_undefined,
    [X86_INS_VMXON] = emulate_undefined,
    [X86_INS_VMLOAD] = emulate_undefined,
    [X86_INS_VMMCALL] = emulate_undefined,
    [X86_INS_VMRUN] = emulate_undefined,
    [X86_INS_VMSAVE] = emulate_undefined,
    [X86_INS_CLGI] = emulate_undefined,
    [X86_INS_STGI] = emulate_undefined,
    [X86_INS_SKINIT] = emulate_undefined,
    [X86_INS_INVLPGA] = emulate_undefined,
};

static emulate_fn *mov_emulation(const struct insn *in)
{
    unsigned to = in->op[0].kind, from = in->op[1].kind;
    if (to == OPERAND_CR || to == OPERAND_DR)
        return to == OPERAND_CR ? emulate_mov_to_cr : emulate_mov_to_dr;
    if (from == OPERAND_CR || from == OPERAND_DR)
        return from == OPERAND_CR ? emulate_mov_from_cr : emulate_mov_from_dr;
    if (to == OPERAND_SEG)
        return emulate_mov_to_seg;
    return from == OPERAND_SEG ? emulate_mov_from_seg : NULL;
}

emulate_fn *system_emulation(const struct insn *in)
{
    emulate_fn *fn = in->id < X86_INS_ENDING ? system_rows[in->id] : NULL;
    if (in->id == X86_INS_MOV)
        fn = mov_emulation(in);
    else if (in->id == X86_INS_PUSH && in->op[0].kind == OPERAND_SEG)
        fn = emulate_push;
    else if (in->id == X86_INS_POP && in->op[0].kind == OPERAND_SEG)
        fn = emulate_pop_seg;
    return fn && in->lock ? emulate_undefined : fn; // none of them takes LOCK
}

static emulate_fn *const plain_rows[X86_INS_ENDING] = {
    [X86_INS_PUSH] = emulate_push,
    [X86_INS_POP] = emulate_pop,
    [X86_INS_ENTER] = emulate_enter,
    [X86_INS_LEAVE] = emulate_leave,
    [X86_INS_CALL] = emulate_call,
    [X86_INS_JMP] = emulate_jmp,
    [X86_INS_RET] = emulate_ret,
    [X86_INS_XLATB] = emulate_xlat,
    [X86_INS_BT] = emulate_bit_test,
    [X86_INS_BTS] = emulate_bit_test,
    [X86_INS_BTR] = emulate_bit_test,
    [X86_INS_BTC] = emulate_bit_test,
    [X86_INS_MOVSB] = emulate_movs,
    [X86_INS_MOVSW] = emulate_movs,
    [X86_INS_MOVSD] = emulate_movs,
    [X86_INS_MOVSQ] = emulate_movs,
    [X86_INS_STOSB] = emulate_stos,
    [X86_INS_STOSW] = emulate_stos,
    [X86_INS_STOSD] = emulate_stos,
    [X86_INS_STOSQ] = emulate_stos,
    [X86_INS_LODSB] = emulate_lods,
    [X86_INS_LODSW] = emulate_lods,
    [X86_INS_LODSD] = emulate_lods,
    [X86_INS_LODSQ] = emulate_lods,
    [X86_INS_CMPSB] = emulate_cmps,
    [X86_INS_CMPSW] = emulate_cmps,
    [X86_INS_CMPSD] = emulate_cmps,
    [X86_INS_CMPSQ] = emulate_cmps,
    [X86_INS_SCASB] = emulate_scas,
    [X86_INS_SCASW] = emulate_scas,
    [X86_INS_SCASD] = emulate_scas,
    [X86_INS_SCASQ] = emulate_scas,

    [X86_INS_FXSAVE] = emulate_fxsave,
    [X86_INS_FXSAVE64] = emulate_fxsave,
    [X86_INS_FXRSTOR] = emulate_fxrstor,
    [X86_INS_FXRSTOR64] = emulate_fxrstor,
    [X86_INS_XSAVE] = emulate_xsave,
    [X86_INS_XSAVE64] = emulate_xsave,
    [X86_INS_XSAVEOPT] = emulate_xsaveopt,
    [X86_INS_XSAVEOPT64] = emulate_xsaveopt,
    [X86_INS_XRSTOR] = emulate_xrstor,
    [X86_INS_XRSTOR64] = emulate_xrstor,
    [X86_INS_XGETBV] = emulate_xgetbv,
    [X86_INS_WAIT] = emulate_wait,
    [X86_INS_FNSTENV] = emulate_x87_environment,
    [X86_INS_FNSAVE] = emulate_x87_environment,
    [X86_INS_FLDENV] = emulate_x87_environment,
    [X86_INS_FRSTOR] = emulate_x87_environment,
    [X86_INS_MASKMOVQ] = emulate_maskmov,
    [X86_INS_MASKMOVDQU] = emulate_maskmov,
    [X86_INS_VMASKMOVDQU] = emulate_maskmov,
    [X86_INS_VMASKMOVPS] = emulate_vmaskmov,
    [X86_INS_VMASKMOVPD] = emulate_vmaskmov,
    [X86_INS_VPMASKMOVD] = emulate_vmaskmov,
    [X86_INS_VPMASKMOVQ] = emulate_vmaskmov,
    [X86_INS_VGATHERDPS] = emulate_gather,
    [X86_INS_VGATHERDPD] = emulate_gather,
    [X86_INS_VGATHERQPS] = emulate_gather,
    [X86_INS_VGATHERQPD] = emulate_gather,
    [X86_INS_VPGATHERDD] = emulate_gather,
    [X86_INS_VPGATHERDQ] = emulate_gather,
    [X86_INS_VPGATHERQD] = emulate_gather,
    [X86_INS_VPGATHERQQ] = emulate_gather,
};

static bool is_bit_test(const struct insn *in)
{
    return in->id == X86_INS_BT || in->id == X86_INS_BTS || in->id == X86_INS_BTR || in->id == X86_INS_BTC;
}

emulate_fn *plain_emulation(const struct insn *in)
{
    emulate_fn *fn = system_emulation(in);
    if (fn || in->id >= X86_INS_ENDING)
        return fn;
    if (is_bit_test(in) && in->op[0].kind != OPERAND_MEM) // no memory at all
        return NULL;
    bool sse = in->opcode[0] == 0x0f && (in->id == X86_INS_MOVSD || in->id == X86_INS_CMPSD); // homonyms of strings
    return sse ? NULL : plain_rows[in->id];
}
