// SPDX-License-Identifier: BSD-2-Clause
// What the host's CPU has of the instruction set: the engines execute some guest instructions by the host's own.
#ifndef RINGSIDE_X86_FEATURES_H
#define RINGSIDE_X86_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

enum x86_feature {
#define X86_FEATURE(name, leaf, subleaf, reg, bit) X86_FEATURE_##name,
#include "x86/features.def"
#undef X86_FEATURE
    X86_FEATURES
};

// A set of features: bit X86_FEATURE_name.
typedef uint64_t x86_feature_set;
_Static_assert(X86_FEATURES <= 64, "one bit each");
#define X86_FEATURE_BIT(name) (1ull << X86_FEATURE_##name)

// Asks the host's CPU, which may take microseconds in a virtual machine: ask once and keep the answer. What needs a
// part of the state that the host's kernel does not save (AVX and all that builds on it) is left out.
x86_feature_set x86_host_features(void);

#endif
