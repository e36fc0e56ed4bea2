// SPDX-License-Identifier: BSD-2-Clause
// Guest RAM: one memfd, mapped once. The checked gate to it is ram_at() in include/guest_ram.h.
#ifndef RINGSIDE_MACHINE_RAM_H
#define RINGSIDE_MACHINE_RAM_H

#include <stddef.h>
#include <stdint.h>

#include "include/guest_ram.h"

#define RAM_UNIT (2ull << 20)
#define RAM_MIN (8ull << 20)
#define RAM_MAX (64ull << 30)

// 0, or -1 with one line in err; *ram can be handed to ram_destroy() either way.
int ram_create(struct guest_ram *ram, uint64_t bytes, char *err, size_t err_size);
void ram_destroy(struct guest_ram *ram);

#endif
