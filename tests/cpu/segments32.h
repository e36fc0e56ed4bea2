// SPDX-License-Identifier: BSD-2-Clause
// The segments that 32- and 16-bit code is tested in: Linux's own flat ones, and a local descriptor table with segments
// whose bases, limits, types and sizes matter. Host and interpreter have the same table.
#ifndef RINGSIDE_TESTS_CPU_SEGMENTS32_H
#define RINGSIDE_TESTS_CPU_SEGMENTS32_H

#include <asm/ldt.h>

#include "tests/cpu/case.h"

// Linux's (arch/x86/include/asm/segment.h).
#define HOST_CS32 0x23
#define HOST_DS 0x2b
#define HOST_CS64 0x33

enum { LDT_DATA = 0, LDT_DOWN = 1, LDT_CODE = 2 };

// Index in the table; its selector is LDT_SELECTOR(index).
enum ldt_index {
    LDT_WINDOW,       // the window, byte-granular, B = 1
    LDT_READ_ONLY,    // the same, not to be written
    LDT_SMALL_STACK,  // the same with B = 0: sp
    LDT_DOWN32,       // expand-down, B = 1: offsets from 64 KiB are the window and on
    LDT_DOWN16,       // expand-down, B = 0: offsets from 4 KiB to 64 KiB
    LDT_BASED,        // all 4 GiB from GS_BASE on
    LDT_PAGE,         // a limit in pages
    LDT_CODE32,       // the code's page, readable
    LDT_CODE32_SHORT, // ends within the code's page, execute-only
    LDT_CODE16,       // the code's page, D = 0
    LDT_ABSENT,
    LDT_USED,
};
#define LDT_SELECTOR(index) ((uint16_t)((index) << 3 | 7))

#define EXIT_AT (CODE + 1024) // where the judge leaves
enum { CODE_SHORT_LIMIT = 16 + 8 };

static const struct user_desc ldt_entries[LDT_USED] = {
#define DATA(index, base, limit_, kind, b, ro, pages)                                                                  \
    [index] = {.entry_number = index,                                                                                  \
               .base_addr = base,                                                                                      \
               .limit = limit_,                                                                                        \
               .seg_32bit = b,                                                                                         \
               .contents = kind,                                                                                       \
               .read_exec_only = ro,                                                                                   \
               .limit_in_pages = pages}
    DATA(LDT_WINDOW, WINDOW, WINDOW_BYTES - 1, LDT_DATA, 1, 0, 0),
    DATA(LDT_READ_ONLY, WINDOW, WINDOW_BYTES - 1, LDT_DATA, 1, 1, 0),
    DATA(LDT_SMALL_STACK, WINDOW, WINDOW_BYTES - 1, LDT_DATA, 0, 0, 0),
    DATA(LDT_DOWN32, WINDOW - 0x10000, 0xffff, LDT_DOWN, 1, 0, 0),
    DATA(LDT_DOWN16, WINDOW - PAGE, PAGE - 1, LDT_DOWN, 0, 0, 0),
    DATA(LDT_BASED, GS_BASE, 0xfffff, LDT_DATA, 1, 0, 1),
    DATA(LDT_PAGE, WINDOW, 1, LDT_DATA, 1, 0, 1),
    DATA(LDT_CODE32, CODE, PAGE - 1, LDT_CODE, 1, 0, 0),
    DATA(LDT_CODE32_SHORT, CODE, CODE_SHORT_LIMIT, LDT_CODE, 1, 1, 0),
    DATA(LDT_CODE16, CODE, PAGE - 1, LDT_CODE, 0, 0, 0),
    DATA(LDT_ABSENT, WINDOW, PAGE, LDT_DATA, 1, 0, 0),
#undef DATA
};

static inline bool ldt_is_absent(unsigned index)
{
    return index == LDT_ABSENT;
}

// The descriptor as Linux makes it: DPL 3, accessed (arch/x86/include/asm/desc.h, fill_ldt).
static inline uint64_t ldt_descriptor(unsigned index)
{
    const struct user_desc *e = &ldt_entries[index];
    uint64_t base = e->base_addr, limit = e->limit;
    uint64_t type = (uint64_t)!e->read_exec_only << 1 | (uint64_t)e->contents << 2 | 1;
    uint64_t attr = type | 0x70 | (ldt_is_absent(index) ? 0 : 0x80);
    return (limit & 0xffff) | (base & 0xffffff) << 16 | attr << 40 | (limit >> 16) << 48 |
           (uint64_t)e->seg_32bit << 54 | (uint64_t)e->limit_in_pages << 55 | (base >> 24) << 56;
}

static inline uint64_t segment_base32(uint16_t selector)
{
    return selector & 4 ? ldt_entries[selector >> 3].base_addr : 0;
}

#endif
