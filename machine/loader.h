// SPDX-License-Identifier: BSD-2-Clause
// Getting a guest into RAM: the ELF loader, and the state that guest_abi.h promises at the entry of an ELF64 file
// (multiboot.h: of an ELF32 file).
#ifndef RINGSIDE_MACHINE_LOADER_H
#define RINGSIDE_MACHINE_LOADER_H

#include <stddef.h>
#include <stdint.h>

#include "include/guest_ram.h"
#include "include/vcpu_state.h"

// Copies the segments of an ELF64 or Multiboot ELF32 image into RAM. 0 and the entry, or -1 with one line in err.
// Nothing in the image is trusted; RAM is untouched where it is refused.
int elf_load(const struct guest_ram *ram, const void *image, size_t size, uint64_t *entry, char *err, size_t err_size);

// Writes GDT, page tables, command line (NULL: empty) and boot_info below 1 MiB, and fills in *state. 0, or -1 with one
// line in err.
int boot_prepare(const struct guest_ram *ram, const char *cmdline, uint64_t entry, struct vcpu_state *state, char *err,
                 size_t err_size);

#endif
