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

// RAM as a PC's firmware tells of it: up to its extended BIOS data, from 1 MiB to the hole, and from 4 GiB where there
// is any. Guest-physical addresses and bytes; how many pieces there are is returned.
enum { RAM_LOW, RAM_BELOW_HOLE, RAM_ABOVE_HOLE, RAM_PIECES_MAX };
struct ram_piece {
    uint64_t start, size;
};
unsigned ram_pieces(const struct guest_ram *ram, struct ram_piece piece[static RAM_PIECES_MAX]);

#endif
