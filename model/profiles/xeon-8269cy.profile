# SPDX-License-Identifier: BSD-2-Clause
# The processor of the PVM paper, and KVM on it: each kind of exit was measured with all that KVM does about it. Its work is the figure less the
# world switch.
title = Xeon 8269CY (Cascade Lake), 2.5 GHz, and KVM as PVM's authors measured it
base = nehalem
clock_mhz  = ref(facts.xeon clock MHz.value) | published | SOSP 2023, Table 1
round_trip = ref(exit-costs.Xeon 8269CY 2.5 GHz/KVM world switch alone.cycles) | published | SOSP 2023, section 2
vmcb_reads = 0 | assumed | in the figures of KVM's exits
vmcb_write = 0 | assumed | in the figures of KVM's exits
emulate    = ref(exit-costs.Xeon 8269CY 2.5 GHz/KVM CPUID.cycles) - round_trip | published | SOSP 2023, Table 1
emulate_io = ref(exit-costs.Xeon 8269CY 2.5 GHz/KVM port I/O to user space.cycles) - round_trip | published | SOSP 2023, Table 1: to the monitor's process and back
find_space = ref(exit-costs.Xeon 8269CY 2.5 GHz/KVM MSR access.cycles) - round_trip | assumed | SOSP 2023, Table 1: a write of cr3 as one of an MSR, an exit that KVM handles by itself
restart_pgfault = ref(exit-costs.Xeon 8269CY 2.5 GHz/KVM exception.cycles) - round_trip - walk - fault_native | fitted | SOSP 2023, Table 1: an exception, the guest's own handling of it included
restart_hidden  = restart_pgfault | assumed | a hidden fault takes KVM as long as a true one, but for the shadow entry
walk         = 0 | assumed | in the figure of an exception
fault_native = 0 | assumed | in the figure of an exception
syscall_native = clock_mhz * ref(sosp2023-getpid.KVM with EPT.shared_us) | published | SOSP 2023: get_pid with nothing that exits
guest_syscall  = 0 | assumed | in that figure
# Page-table isolation writes cr3 twice a system call, natively so under EPT.
cr3wr_native = clock_mhz * (ref(sosp2023-getpid.KVM with EPT.isolated_us) - ref(sosp2023-getpid.KVM with EPT.shared_us)) / 2 | fitted | SOSP 2023: what isolation costs get_pid under EPT, for each of two writes of cr3
