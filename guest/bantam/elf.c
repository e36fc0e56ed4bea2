// SPDX-License-Identifier: BSD-2-Clause
// Reads an ELF file (System V ABI, chapters 4 and 5; AMD64 supplement). Every number in it is somebody's who wants to
// get into the kernel: sums are tested before they are made, and nothing is read that does not lie in the file.
#include "guest/bantam/elf.h"

#include <stdbool.h>

#include "guest/bantam/linux.h"

#define PAGE 4096ull
#define LOWEST 0x10000ull // Linux's vm.mmap_min_addr: a null pointer faults

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct program_header {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

#define ELFCLASS64 2
#define ELFDATA2LSB 1
#define EV_CURRENT 1
#define ET_EXEC 2
#define EM_X86_64 62
#define PT_LOAD 1
#define PT_INTERP 3
#define PF_X 1u
#define PF_W 2u
#define PF_R 4u

static bool header_good(const struct elf_header *h)
{
    return h->ident[0] == 0x7f && h->ident[1] == 'E' && h->ident[2] == 'L' && h->ident[3] == 'F' &&
           h->ident[4] == ELFCLASS64 && h->ident[5] == ELFDATA2LSB && h->ident[6] == EV_CURRENT && h->type == ET_EXEC &&
           h->machine == EM_X86_64 && h->phentsize == sizeof(struct program_header);
}

// start and length: within [0, limit), without wrapping.
static bool within(uint64_t start, uint64_t length, uint64_t limit)
{
    return start <= limit && length <= limit - start;
}

static bool overlaps(const struct elf_program *program, const struct elf_segment *s)
{
    for (unsigned i = 0; i < program->segments; i++) {
        if (s->start < program->segment[i].end && program->segment[i].start < s->end)
            return true;
    }
    return false;
}

// Where no zeros are to follow, the last page may hold whatever is next in the file, as on Linux: then it need not be a
// copy, and a program's code is in the same physical pages whenever it is executed.
static uint64_t whole_pages(const struct elf_segment *s, uint64_t file_size)
{
    uint64_t all = s->end - s->start, left = file_size - s->offset;
    return all < left ? all : left;
}

static bool add_segment(struct elf_program *program, const struct program_header *p, uint64_t size, uint64_t top)
{
    uint64_t in_page = p->vaddr % PAGE;
    if (program->segments == ELF_SEGMENTS_MAX || p->filesz > p->memsz || !within(p->offset, p->filesz, size) ||
        p->offset % PAGE != in_page || p->vaddr < LOWEST || !within(p->vaddr, p->memsz, top - PAGE))
        return false;
    struct elf_segment s = {.start = p->vaddr - in_page,
                            .end = (p->vaddr + p->memsz + PAGE - 1) & ~(PAGE - 1),
                            .offset = p->offset - in_page,
                            .size = p->filesz ? p->filesz + in_page : 0,
                            .prot = (p->flags & PF_R ? PROT_READ : 0) | (p->flags & PF_W ? PROT_WRITE : 0) |
                                    (p->flags & PF_X ? PROT_EXEC : 0)};
    if (p->filesz == p->memsz)
        s.size = whole_pages(&s, size);
    if (overlaps(program, &s))
        return false;
    program->segment[program->segments++] = s;
    if (program->end < s.end)
        program->end = s.end;
    return true;
}

// Where the program headers are in memory: the auxiliary vector says it.
static void find_headers(struct elf_program *program, uint64_t phoff, uint64_t bytes)
{
    for (unsigned i = 0; i < program->segments; i++) {
        const struct elf_segment *s = &program->segment[i];
        if (phoff >= s->offset && within(phoff - s->offset, bytes, s->size))
            program->headers = s->start + (phoff - s->offset);
    }
}

int elf_read(struct elf_program *program, const uint8_t *file, uint64_t size, uint64_t top)
{
    struct elf_header h;
    *program = (struct elf_program){0};
    if (size < sizeof h)
        return -ENOEXEC;
    __builtin_memcpy(&h, file, sizeof h);
    uint64_t bytes = (uint64_t)h.phnum * sizeof(struct program_header);
    if (!header_good(&h) || !within(h.phoff, bytes, size) || h.entry >= top)
        return -ENOEXEC;
    for (unsigned i = 0; i < h.phnum; i++) {
        struct program_header p;
        __builtin_memcpy(&p, file + h.phoff + i * sizeof p, sizeof p);
        if (p.type == PT_INTERP || (p.type == PT_LOAD && p.memsz && !add_segment(program, &p, size, top)))
            return -ENOEXEC;
    }
    program->entry = h.entry;
    program->header_count = h.phnum;
    program->header_size = h.phentsize;
    find_headers(program, h.phoff, bytes);
    return program->segments ? 0 : -ENOEXEC;
}
