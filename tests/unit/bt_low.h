// SPDX-License-Identifier: BSD-2-Clause
// The engine's tables at low addresses (engines/bt/layout.h) must not be there while the host's CPU runs a case in the
// same process, to which nothing is mapped there.
#ifndef RINGSIDE_TESTS_UNIT_BT_LOW_H
#define RINGSIDE_TESTS_UNIT_BT_LOW_H

#include <stdbool.h>
#include <sys/mman.h>

#include "engines/bt/layout.h"

static inline void hide_low_tables(bool hide)
{
    mprotect((void *)BT_LOW, BT_LOW_END - BT_LOW, hide ? PROT_NONE : PROT_READ | PROT_WRITE);
}

#endif
