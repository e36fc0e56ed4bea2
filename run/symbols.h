// SPDX-License-Identifier: BSD-2-Clause
// The symbols of an ELF64 image. Nothing in the file is trusted: what lies outside of it is not there.
#ifndef RINGSIDE_RUN_SYMBOLS_H
#define RINGSIDE_RUN_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The symbol's value. 0, or -1 with one line in err (the nearest name where there is one).
int symbol_find(const uint8_t *image, size_t size, const char *name, uint64_t *value, char *err, size_t err_size);

// "name+0x12" of the nearest code symbol at or below the address, in the same 64 KiB; "0x..." where there is none.
const char *symbol_text(const uint8_t *image, size_t size, uint64_t address, char *text, size_t text_size);

#endif
