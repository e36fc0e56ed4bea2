# SPDX-License-Identifier: BSD-2-Clause
# Round trips of later processors are in print, the rest is as on Nehalem.
title = Sandy Bridge, 2011
base = nehalem
round_trip = ref(exit-costs.Sandy Bridge 1Q11/hardware round trip.cycles) | published | Agesen et al., USENIX ATC 2012, Table 1
