# SPDX-License-Identifier: BSD-2-Clause
# The processor of the paper's tables. All that the model knows of monitors comes from here: what hardware costs (Table 1), what the
# paper's two monitors cost on it (the nanobenchmarks), and the three ways to emulate rdtsc. Cycles, unless the name says otherwise.
title = Pentium 4 672 (Prescott), 3.8 GHz: the paper's host
clock_mhz = ref(facts.p4 clock MHz.value) | published | ASPLOS 2006, section 6

# ---- What events cost natively ----
syscall_native    = ref(asplos2006.nano/syscall.native)  | published | ASPLOS 2006, section 6.4
io_native         = ref(asplos2006.nano/in.native)       | published | ASPLOS 2006, section 6.4: port 0x80, out over the bus
cr8wr_native      = ref(asplos2006.nano/cr8wr.native)    | published | ASPLOS 2006, section 6.4
callret_native    = ref(asplos2006.nano/callret.native)  | published | ASPLOS 2006, section 6.4
fault_native      = ref(asplos2006.nano/pgfault.native)  | published | ASPLOS 2006, section 6.4: a page fault, its handler's way in, and iret
exception_native  = ref(asplos2006.nano/divzero.native)  | published | ASPLOS 2006, section 6.4: any other exception, likewise
pte_native        = ref(asplos2006.nano/ptemod.native)   | published | ASPLOS 2006, section 6.4: a store
privileged_native = ref(facts.cli natively.value)        | published | ASPLOS 2006, section 3.2: what cli costs
cr3wr_native      = cr8wr_native                         | assumed   | no figure in print; as a write of cr8. What the TLB misses then cost is not in it
invlpg_native     = cr8wr_native                         | assumed   | no figure in print; as a write of cr8
insn_native       = 1                                    | assumed   | no figure in print; the same under every monitor, so it drops out of overheads

# ---- Hardware: Table 1 ----
vm_exit    = ref(exit-costs.Pentium 4 672 (Prescott)/page-fault VM exit.cycles) | published | ASPLOS 2006, Table 1
vm_entry   = ref(exit-costs.Pentium 4 672 (Prescott)/VM entry.cycles)           | published | ASPLOS 2006, Table 1
vmcb_read  = ref(exit-costs.Pentium 4 672 (Prescott)/VMCB read.cycles)          | published | ASPLOS 2006, Table 1
vmcb_write = ref(exit-costs.Pentium 4 672 (Prescott)/VMCB write.cycles)         | published | ASPLOS 2006, Table 1
vmcb_reads = ref(facts.vmcb reads per exit.value)                               | published | ASPLOS 2006, section 7.1
round_trip = vm_exit + vm_entry                                                 | published | Table 1: both ways

# ---- The software monitor's parts, out of the software column ----
# syscall is native system call + this: out of direct execution, the translated handler's way in and out, and back.
p4_switch    = ref(asplos2006.nano/syscall.software) - ref(asplos2006.nano/syscall.native)   | fitted | software less native syscall
# divzero is native exception into the monitor + this: the guest's descriptor table read, a frame pushed, and its iret emulated.
p4_deliver   = ref(asplos2006.nano/divzero.software) - ref(asplos2006.nano/divzero.native)   | fitted | software less native divzero
# pgfault is native fault into the monitor + deliver + this: whose fault is it? A walk of the guest's page tables says.
p4_walk      = ref(asplos2006.nano/pgfault.software) - ref(asplos2006.nano/pgfault.native) - p4_deliver | fitted | what software pgfault takes beyond divzero
p4_io        = ref(asplos2006.nano/in.software)                                              | published | a port read in the translation cache
p4_cr8wr     = ref(asplos2006.nano/cr8wr.software)                                           | published | the same of a write of cr8
p4_return    = ref(asplos2006.nano/callret.software) - ref(asplos2006.nano/callret.native)   | fitted | the lookup of a return's target
# ptemod is, once adapted, a store and this: emulate, and propagate to a shadow entry that is there.
p4_propagate = ref(asplos2006.nano/ptemod.software) - ref(asplos2006.nano/ptemod.native)     | fitted | software less native ptemod
# ptemod_np2p is that, and a shadow entry made that was not there: the guest's entry validated, its frame found.
p4_fill      = ref(asplos2006.nano/ptemod_np2p.software) - ref(asplos2006.nano/ptemod.software) | fitted | what ptemod_np2p takes beyond ptemod
# A callout is in-TC emulation + this: registers saved and loaded, the monitor's own world entered and left.
p4_callout   = ref(asplos2006-adaptation.callout-and-emulate.cycles) - ref(asplos2006-adaptation.in-TC emulation.cycles) | fitted | section 3.3: callout less in-TC
# A trap is a native exception + in-TC emulation + this: the instruction found, fetched and decoded.
p4_decode    = ref(asplos2006-adaptation.trap-and-emulate.cycles) - ref(asplos2006-adaptation.in-TC emulation.cycles) - ref(asplos2006.nano/divzero.native) | fitted | section 3.3: trap less in-TC less a native exception
p4_emulate   = ref(asplos2006-adaptation.in-TC emulation.cycles)                             | published | section 3.3: rdtsc in the translation cache
p4_translate = ref(facts.translate one instruction.value)                                    | published | section 6.4

# ---- What an exit costs the hardware monitor beyond transitions, VMCB and the work itself ----
# Both transitions flush the TLBs: so VMX was at first (SDM vol. 3, 28.1, says so where it introduces VPIDs). A Pentium 4 keeps decoded code by linear
# address, so that its trace cache is taken to go with them. The monitor starts cold at every exit; the same work is done warm in the software column.
p4_exit            = p4_round_trip+ ref(facts.vmcb reads per exit.value) * ref(exit-costs.Pentium 4 672 (Prescott)/VMCB read.cycles) | published | Table 1, section 7.1
p4_round_trip     = ref(exit-costs.Pentium 4 672 (Prescott)/page-fault VM exit.cycles) + ref(exit-costs.Pentium 4 672 (Prescott)/VM entry.cycles) | published | Table 1
p4_restart_pgfault = ref(asplos2006.nano/pgfault.hardware) - p4_exit - p4_walk - 2 * ref(exit-costs.Pentium 4 672 (Prescott)/VMCB write.cycles) - ref(asplos2006.nano/pgfault.native) | fitted | hardware pgfault less exit, walk, injection (two fields: SDM vol. 3, 26.6) and native fault
p4_restart_ptemod  = ref(asplos2006.nano/ptemod.hardware) - p4_exit - p4_decode - p4_propagate - ref(asplos2006.nano/ptemod.native) | fitted | hardware ptemod less exit, decode, emulate and propagate
p4_restart_io      = ref(asplos2006.nano/in.hardware) - p4_exit - p4_io                      | fitted | hardware in less exit and the port model
# A hidden fault has no row. It walks as a true one does, and makes a shadow entry as ptemod_np2p does.
p4_restart_hidden  = p4_restart_pgfault + ref(asplos2006.nano/ptemod_np2p.hardware) - ref(asplos2006.nano/ptemod.hardware) - p4_fill | fitted | hardware pgfault's, and what np2p takes beyond ptemod, less the same warm

# ---- The same under the names that policies use; on another processor each is scaled ----
switch_user     = p4_switch          | fitted    | as above
deliver         = p4_deliver         | fitted    | as above
walk            = p4_walk            | fitted    | as above
emulate_io      = p4_io              | published | as above
emulate_cr8wr   = p4_cr8wr           | published | as above
lookup_return   = p4_return          | fitted    | as above
propagate       = p4_propagate       | fitted    | as above
fill            = p4_fill            | fitted    | as above
callout         = p4_callout         | fitted    | as above
decode          = p4_decode          | fitted    | as above
emulate         = p4_emulate         | published | as above
translate_insn  = p4_translate       | published | as above
restart_pgfault = p4_restart_pgfault | fitted    | as above
restart_ptemod  = p4_restart_ptemod  | fitted    | as above
restart_hidden  = p4_restart_hidden  | fitted    | as above
restart_io      = p4_restart_io      | fitted    | as above
find_space      = p4_walk            | assumed   | no figure in print: the shadow of an address space is looked up, as the guest's tables are for a fault
restart_space   = p4_restart_pgfault | assumed   | no figure in print: as little cold code as a true fault's
# Events that take no exit: what little the hardware column has beyond native.
guest_syscall   = ref(asplos2006.nano/syscall.hardware) - ref(asplos2006.nano/syscall.native) | fitted | hardware less native
guest_cr8wr     = ref(asplos2006.nano/cr8wr.hardware) - ref(asplos2006.nano/cr8wr.native)     | fitted | hardware less native
guest_callret   = ref(asplos2006.nano/callret.hardware) - ref(asplos2006.nano/callret.native) | fitted | hardware less native
guest_exception = ref(asplos2006.nano/divzero.hardware) - ref(asplos2006.nano/divzero.native) | fitted | hardware less native
# Whole prices under the two monitors, for mixes that are solved from figures of this machine.
p4_hidden_shadow = p4_exit + p4_walk + p4_fill + p4_restart_hidden | fitted | a hidden fault under the hardware monitor: policy hw-shadow
p4_cr3wr_shadow  = p4_exit + ref(exit-costs.Pentium 4 672 (Prescott)/VMCB write.cycles) + p4_walk + p4_restart_pgfault | fitted | policy hw-shadow
p4_hidden_bt     = ref(asplos2006.nano/pgfault.native) + p4_callout + p4_walk + p4_fill | fitted | a hidden fault under the software monitor: policy bt
