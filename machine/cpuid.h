// SPDX-License-Identifier: BSD-2-Clause
// The guest's CPUID, the same on every engine.
#ifndef RINGSIDE_MACHINE_CPUID_H
#define RINGSIDE_MACHINE_CPUID_H

#include "include/cpuid.h"
#include "x86/features.h"

#define MACHINE_CPUID_LEAVES 16

// Fills leaves, which stay the caller's and must live as long as the table does, for a host with these features
// (x86_host_features).
struct cpuid_table machine_cpuid(struct cpuid_leaf leaves[MACHINE_CPUID_LEAVES], x86_feature_set host);

#endif
