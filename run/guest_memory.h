// SPDX-License-Identifier: BSD-2-Clause
// Guest memory by guest-virtual address, as the vCPU's state maps it, for looking from outside: no permission is
// checked, no accessed or dirty bit set, and devices are left alone.
#ifndef RINGSIDE_RUN_GUEST_MEMORY_H
#define RINGSIDE_RUN_GUEST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "include/guest_ram.h"
#include "include/vcpu_state.h"
#include "x86/paging.h"

// Where va leads. False where it is not canonical, or nothing is mapped there (RAM or not). *size: of the guest's own
// mapping in bytes, or 0 while paging is off.
bool guest_translate(const struct guest_ram *ram, const struct vcpu_state *state, uint64_t va, gpa_t *at,
                     uint64_t *size);

// The first bytes of the range, as many as are RAM; their number.
size_t guest_read(const struct guest_ram *ram, const struct vcpu_state *state, uint64_t va, void *bytes, size_t size);
// All of it, or nothing: 0, or -1 where some of it is not RAM. The caller tells the engine.
int guest_write(const struct guest_ram *ram, const struct vcpu_state *state, uint64_t va, const void *bytes,
                size_t size);

#endif
