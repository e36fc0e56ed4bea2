# SPDX-License-Identifier: BSD-2-Clause
# The machine of the results given. What this project's translator takes for each event there was measured; what privileged operations cost
# natively nobody can measure in a VM, so there is nothing here for policy native, nor for hardware.
title = the machine of the results: this project's translator as measured there
machine = results
bt_syscall    = measured(bt.nano/syscall)   | measured | nano/syscall
bt_io         = (measured(bt.nano/in) + measured(bt.nano/out)) / 2 | measured | nano/in, nano/out
bt_cr8wr      = measured(bt.nano/cr8wr)     | measured | nano/cr8wr
bt_callret    = measured(bt.nano/callret)   | measured | nano/callret
bt_pgfault    = measured(bt.nano/pguser)    | measured | nano/pguser: a fault of user code, its handler included
bt_ptemod     = measured(bt.nano/ptemod)    | measured | nano/ptemod
bt_cr3wr      = measured(bt.nano/cr3wr)     | measured | nano/cr3wr
bt_invlpg     = measured(bt.nano/invlpg)    | measured | nano/invlpg
bt_divzero    = measured(bt.nano/divzero)   | measured | nano/divzero
bt_privileged = measured(bt.nano/wrmsr)     | measured | nano/wrmsr
bt_lookup     = (measured(bt.nano/asswitch) - measured(bt.nano/asswitch_pcid)) / 4 | measured | nano/asswitch looks four operands up anew, with PCIDs none
bt_insn       = 0.2                         | assumed  | native cycles of an instruction, as PAPER.md has it for the kernels of the micro suite
