# SPDX-License-Identifier: BSD-2-Clause
# Round trips of later processors are in print, the rest is as on the Core 2 Duo, and nested paging is there.
title = Nehalem, 2009
base = core2-duo
round_trip = ref(exit-costs.Nehalem 3Q09/hardware round trip.cycles) | published | Agesen et al., USENIX ATC 2012, Table 1
# TLBs are tagged by virtual processor from here on (SDM vol. 3, 28.1: VPID), so no exit flushes them.
restart_pgfault = 0 | assumed | VPIDs: nothing is flushed
restart_ptemod  = 0 | assumed | VPIDs: nothing is flushed
restart_hidden  = 0 | assumed | VPIDs: nothing is flushed
restart_io      = 0 | assumed | VPIDs: nothing is flushed
restart_space   = 0 | assumed | VPIDs: nothing is flushed
# A nested page walk takes that many times a native one's: the middle of what was measured.
nested_walk = (ref(facts.nested walk least.value) + ref(facts.nested walk most.value)) / 2 | assumed | Bhargava et al., ASPLOS 2008, on another vendor's processor
# TLB misses, where nested paging pays: how many of a thousand instructions miss, and what one costs natively.
tlb_miss_rate = 0.001 | assumed | one instruction of a thousand misses the TLB; a property of the program, swept by the maps
tlb_miss = 30 | assumed | a native walk out of the caches
