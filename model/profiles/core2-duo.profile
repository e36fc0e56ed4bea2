# SPDX-License-Identifier: BSD-2-Clause
# The processor of the paper's section 7.1: Table 1, and forkwait and the kernel compile on a pre-production machine of the same kind. No
# nanobenchmark of it is in print, so the Pentium 4's stand in for them, scaled by rules that are stated here.
title = Core 2 Duo, 2.66 GHz: the paper's second host, before production
base = p4-672
clock_mhz  = ref(facts.core clock MHz.value) | published | ASPLOS 2006, Table 1
vm_exit    = ref(exit-costs.Core 2 Duo 2.66 GHz/page-fault VM exit.cycles) | published | ASPLOS 2006, Table 1
vm_entry   = ref(exit-costs.Core 2 Duo 2.66 GHz/VM entry.cycles)           | published | ASPLOS 2006, Table 1
vmcb_read  = ref(exit-costs.Core 2 Duo 2.66 GHz/VMCB read.cycles)          | published | ASPLOS 2006, Table 1
vmcb_write = ref(exit-costs.Core 2 Duo 2.66 GHz/VMCB write.cycles)         | published | ASPLOS 2006, Table 1
vmcb_reads = ref(facts.vmcb reads per exit.value)                          | published | ASPLOS 2006, section 7.1
round_trip = vm_exit + vm_entry                                            | published | Table 1: both ways

# System software needs this share of the Pentium 4's cycles: native forkwait on both, which is made of system calls, faults and address
# spaces. That uses the native forkwait of both machines, and nothing else of the Core column.
soft = ref(asplos2006.micro/forkwait_core.native) * ref(facts.core clock MHz.value) / (ref(asplos2006.micro/forkwait.native) * ref(facts.p4 clock MHz.value)) | fitted | ratio of native forkwaits in cycles
# What a cold start at each exit costs, as a share of the Pentium 4's. There is no trace cache by linear address to lose; TLBs are flushed here
# too, but walks of a few dozen cycles from the caches are small against an exit. 0 is the least, `soft` would be the most.
cold = 0 | assumed | no figure in print; caches of code are by physical address here, so a flush of the TLBs leaves them

# ---- Natively ----
syscall_native = soft * ref(asplos2006.nano/syscall.native) | fitted | the Pentium 4's, scaled
io_native = soft * ref(asplos2006.nano/in.native) | fitted | the Pentium 4's, scaled
cr8wr_native = soft * ref(asplos2006.nano/cr8wr.native) | fitted | the Pentium 4's, scaled
callret_native = soft * ref(asplos2006.nano/callret.native) | fitted | the Pentium 4's, scaled
fault_native = soft * ref(asplos2006.nano/pgfault.native) | fitted | the Pentium 4's, scaled
exception_native = soft * ref(asplos2006.nano/divzero.native) | fitted | the Pentium 4's, scaled
pte_native = soft * ref(asplos2006.nano/ptemod.native) | fitted | the Pentium 4's, scaled
privileged_native = soft * ref(facts.cli natively.value) | fitted | the Pentium 4's, scaled
cr3wr_native = cr8wr_native | assumed | as on the Pentium 4: as a write of cr8
invlpg_native = cr8wr_native | assumed | as on the Pentium 4: as a write of cr8

# ---- Monitors ----
switch_user = soft * p4_switch | fitted | the Pentium 4's, scaled
deliver = soft * p4_deliver | fitted | the Pentium 4's, scaled
walk = soft * p4_walk | fitted | the Pentium 4's, scaled
find_space = soft * p4_walk | fitted | the Pentium 4's, scaled
emulate_io = soft * p4_io | fitted | the Pentium 4's, scaled
emulate_cr8wr = soft * p4_cr8wr | fitted | the Pentium 4's, scaled
lookup_return = soft * p4_return | fitted | the Pentium 4's, scaled
propagate = soft * p4_propagate | fitted | the Pentium 4's, scaled
fill = soft * p4_fill | fitted | the Pentium 4's, scaled
callout = soft * p4_callout | fitted | the Pentium 4's, scaled
decode = soft * p4_decode | fitted | the Pentium 4's, scaled
emulate = soft * p4_emulate | fitted | the Pentium 4's, scaled
translate_insn = soft * p4_translate | fitted | the Pentium 4's, scaled
restart_pgfault = cold * p4_restart_pgfault | assumed | see cold
restart_ptemod = cold * p4_restart_ptemod | assumed | see cold
restart_hidden = cold * p4_restart_hidden | assumed | see cold
restart_io = cold * p4_restart_io | assumed | see cold
restart_space = cold * p4_restart_pgfault | assumed | see cold
guest_syscall = soft * (ref(asplos2006.nano/syscall.hardware) - ref(asplos2006.nano/syscall.native)) | fitted | the Pentium 4's, scaled
guest_cr8wr = soft * (ref(asplos2006.nano/cr8wr.hardware) - ref(asplos2006.nano/cr8wr.native)) | fitted | the Pentium 4's, scaled
guest_callret = soft * (ref(asplos2006.nano/callret.hardware) - ref(asplos2006.nano/callret.native)) | fitted | the Pentium 4's, scaled
guest_exception = soft * (ref(asplos2006.nano/divzero.hardware) - ref(asplos2006.nano/divzero.native)) | fitted | the Pentium 4's, scaled
