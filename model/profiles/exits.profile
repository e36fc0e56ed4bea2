# SPDX-License-Identifier: BSD-2-Clause
# No processor: an exit costs one and all else nothing, so that predicted cycles are a number of exits. It can be held against exits that were
# counted (PAPER.md, "Hardware virtualization, counted").
title = no processor: exits, instead of cycles
round_trip = 1 | assumed | an exit is an exit
vmcb_reads = 0 | assumed | no exit
vmcb_read = 0 | assumed | no exit
vmcb_write = 0 | assumed | no exit
syscall_native = 0 | assumed | no exit
cr8wr_native = 0 | assumed | no exit
callret_native = 0 | assumed | no exit
fault_native = 0 | assumed | no exit
exception_native = 0 | assumed | no exit
pte_native = 0 | assumed | no exit
cr3wr_native = 0 | assumed | no exit
invlpg_native = 0 | assumed | no exit
privileged_native = 0 | assumed | no exit
io_native = 0 | assumed | no exit
insn_native = 0 | assumed | no exit
walk = 0 | assumed | no exit
fill = 0 | assumed | no exit
propagate = 0 | assumed | no exit
decode = 0 | assumed | no exit
emulate = 0 | assumed | no exit
emulate_io = 0 | assumed | no exit
find_space = 0 | assumed | no exit
restart_pgfault = 0 | assumed | no exit
restart_ptemod = 0 | assumed | no exit
restart_hidden = 0 | assumed | no exit
restart_io = 0 | assumed | no exit
restart_space = 0 | assumed | no exit
guest_syscall = 0 | assumed | no exit
guest_cr8wr = 0 | assumed | no exit
guest_callret = 0 | assumed | no exit
guest_exception = 0 | assumed | no exit
tlb_miss_rate = 0 | assumed | no exit
tlb_miss = 0 | assumed | no exit
nested_walk = 0 | assumed | no exit
