// SPDX-License-Identifier: BSD-2-Clause
// Guests that start in 32-bit protected mode, as the Multiboot Specification (version 0.6.96) has it: ELF32 files with
// a Multiboot header, like those of kvm-unit-tests.
#ifndef RINGSIDE_MACHINE_MULTIBOOT_H
#define RINGSIDE_MACHINE_MULTIBOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/guest_ram.h"
#include "include/vcpu_state.h"

// Whether an image is a 32-bit ELF file, which then must be one for Multiboot.
bool multiboot_is_for(const void *image, size_t size);

// NULL where the image has a header whose demands can be met, else what is wrong (section 3.1).
const char *multiboot_refuses(const void *image, size_t size);

// Writes the information structure and the command line below 1 MiB, and fills in *state: protected mode without
// paging, flat segments (section 3.2). 0, or -1 with one line in err.
int multiboot_prepare(const struct guest_ram *ram, const char *cmdline, uint64_t entry, struct vcpu_state *state,
                      char *err, size_t err_size);

#endif
