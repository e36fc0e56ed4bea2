// SPDX-License-Identifier: BSD-2-Clause
// An ELF file that nobody trusts, as segments to be mapped. Knows no kernel, so that a test of the host can try files
// by the thousand (tests/unit/bantam_elf.c).
#ifndef RINGSIDE_GUEST_BANTAM_ELF_H
#define RINGSIDE_GUEST_BANTAM_ELF_H

#include <stdint.h>

enum { ELF_SEGMENTS_MAX = 16 };

struct elf_segment {
    uint64_t start, end;   // pages
    uint64_t offset, size; // in the file: what it starts out with; from a page's begin, too
    uint32_t prot;         // PROT_*
};

struct elf_program {
    struct elf_segment segment[ELF_SEGMENTS_MAX]; // in the file's order; none overlaps another
    unsigned segments;
    uint64_t entry;
    uint64_t headers; // address of the program headers in memory, 0 where no segment has them
    uint16_t header_count, header_size;
    uint64_t end; // of the last segment
};

// 0, or -ENOEXEC: not a static program for this machine, broken, or with a segment that is not below `top`.
int elf_read(struct elf_program *program, const uint8_t *file, uint64_t size, uint64_t top);

#endif
