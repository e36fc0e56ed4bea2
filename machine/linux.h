// SPDX-License-Identifier: BSD-2-Clause
// Linux kernels as distributions ship them (bzImage), entered as the kernel's x86 boot protocol has it for 64-bit boot
// loaders (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol").
#ifndef RINGSIDE_MACHINE_LINUX_H
#define RINGSIDE_MACHINE_LINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/guest_ram.h"
#include "include/vcpu_state.h"

struct linux_guest {
    const void *kernel;
    size_t kernel_size;
    const void *initrd; // NULL: none
    size_t initrd_size;
    const char *cmdline; // NULL: empty
};

// Whether a file has a Linux kernel's setup header ("Details of Header Fields"), and is no ELF file.
bool linux_is_for(const void *image, size_t size);

// Copies kernel and initial RAM disk into RAM, writes the boot parameters below 1 MiB, and fills in *state. 0, or -1
// with one line in err. Nothing in the files is trusted; RAM is untouched where they are refused.
int linux_load(const struct guest_ram *ram, const struct linux_guest *guest, struct vcpu_state *state, char *err,
               size_t err_size);

#endif
