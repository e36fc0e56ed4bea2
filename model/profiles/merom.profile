# SPDX-License-Identifier: BSD-2-Clause
# Round trips of later processors are in print, the rest is as on the Core 2 Duo.
title = Merom (Core 2), 2006
base = core2-duo
round_trip = ref(exit-costs.Merom 2Q06/hardware round trip.cycles) | published | Agesen et al., USENIX ATC 2012, Table 1
