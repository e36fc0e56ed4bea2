// SPDX-License-Identifier: BSD-2-Clause
// The registers as gdb sees them: one table, in gdb's numbering, which is also the target description that gdb is given
// (GDB manual, appendix G, "Target Descriptions" and "i386 Features").
#ifndef RINGSIDE_RUN_GDB_REGISTERS_H
#define RINGSIDE_RUN_GDB_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/vcpu_state.h"

#define GDB_REGISTER_BYTES 16 // of the largest one

extern const unsigned gdb_register_count;

// Bytes of register n, in the order in which they go over the wire.
size_t gdb_register_size(unsigned n);
void gdb_register_get(const struct vcpu_state *s, unsigned n, uint8_t bytes[GDB_REGISTER_BYTES]);
// False, and nothing changed, where the register cannot be written from outside or no CPU could hold that value. Bits
// of rflags that are not for a debugger stay as they are.
bool gdb_register_set(struct vcpu_state *s, unsigned n, const uint8_t bytes[GDB_REGISTER_BYTES]);

// The target description in XML, for one processor; a string that the caller frees, NULL where memory is short.
char *gdb_target_description(void);

#endif
