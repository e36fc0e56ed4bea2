// SPDX-License-Identifier: BSD-2-Clause
// Checks that QEMU's TCG (7.2), otherwise the judge of these images, fails although the manual and the hardware are
// clear. Their text starts with a mark, so that a script can leave them out where QEMU is the engine.
#ifndef RINGSIDE_TESTS_GUEST_JUDGE_H
#define RINGSIDE_TESTS_GUEST_JUDGE_H

#include "guest/lib.h"

#define NOT_QEMU "not-qemu: "
#define CHECK_NOT_QEMU(cond) check_record(!!(cond), NOT_QEMU #cond, 0, 0)
#define CHECK_EQ_NOT_QEMU(got, want)                                                                                   \
    ({                                                                                                                 \
        uint64_t got_ = (uint64_t)(got), want_ = (uint64_t)(want);                                                     \
        check_record(got_ == want_, NOT_QEMU #got " == " #want, got_, want_);                                          \
    })

#endif
