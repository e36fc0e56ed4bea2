// SPDX-License-Identifier: BSD-2-Clause
// The guest's CPUID, the same on every engine.
#ifndef RINGSIDE_MACHINE_CPUID_H
#define RINGSIDE_MACHINE_CPUID_H

#include "include/cpuid.h"

extern const struct cpuid_table machine_cpuid;

#endif
