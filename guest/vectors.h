// SPDX-License-Identifier: BSD-2-Clause
// x87 and vector registers, switched on at the start as far as CPUID offers them (SDM vol. 3, 9.2, 13.5; vol. 1, 13.3).
// Images use them by inline assembly only.
#ifndef RINGSIDE_GUEST_VECTORS_H
#define RINGSIDE_GUEST_VECTORS_H

enum vectors { VECTORS_NONE, VECTORS_FXSAVE, VECTORS_XSAVE }; // how they are saved
enum vectors vectors_on(void);

#endif
