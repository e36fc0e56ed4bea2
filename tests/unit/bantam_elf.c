// SPDX-License-Identifier: BSD-2-Clause
// The guest Unix's ELF reader as a part of a host program, where a sanitizer sees what it reads: one good file, each
// field of it made bad in turn, and thousands of random changes.
#include "guest/bantam/elf.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOP 0x7fff800000ull
#define FILE_BYTES 0x3000
#define MUTATIONS 200000

static int failures;

static void expect(bool good, const char *what)
{
    printf("%s %s\n", good ? "ok" : "not ok", what);
    failures += !good;
}

static Elf64_Phdr *header_of(uint8_t *file, unsigned i)
{
    return (Elf64_Phdr *)(file + sizeof(Elf64_Ehdr)) + i;
}

// Text, and data with zeros behind it.
static void make_good(uint8_t *file)
{
    memset(file, 0, FILE_BYTES);
    Elf64_Ehdr *h = (Elf64_Ehdr *)file;
    memcpy(h->e_ident, ELFMAG, SELFMAG);
    h->e_ident[EI_CLASS] = ELFCLASS64;
    h->e_ident[EI_DATA] = ELFDATA2LSB;
    h->e_ident[EI_VERSION] = EV_CURRENT;
    h->e_type = ET_EXEC;
    h->e_machine = EM_X86_64;
    h->e_entry = 0x400100;
    h->e_phoff = sizeof *h;
    h->e_phentsize = sizeof(Elf64_Phdr);
    h->e_phnum = 2;
    *header_of(file, 0) = (Elf64_Phdr){
        .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x400000, .p_filesz = 0x1800, .p_memsz = 0x1800};
    *header_of(file, 1) = (Elf64_Phdr){.p_type = PT_LOAD,
                                       .p_flags = PF_R | PF_W,
                                       .p_offset = 0x2010,
                                       .p_vaddr = 0x402010,
                                       .p_filesz = 0x100,
                                       .p_memsz = 0x3000};
}

static void test_good(uint8_t *file)
{
    struct elf_program p;
    make_good(file);
    expect(elf_read(&p, file, FILE_BYTES, TOP) == 0, "a good file");
    expect(p.segments == 2 && p.entry == 0x400100 && p.headers == 0x400000 + sizeof(Elf64_Ehdr) && p.header_count == 2,
           "its entry and headers");
    const struct elf_segment *text = &p.segment[0], *data = &p.segment[1];
    expect(text->start == 0x400000 && text->end == 0x402000 && text->size == 0x2000 && text->prot == 5,
           "its text, in whole pages of the file");
    expect(data->start == 0x402000 && data->end == 0x406000 && data->offset == 0x2000 && data->size == 0x110 &&
               data->prot == 3,
           "its data, from a page's begin");
    expect(p.end == 0x406000, "its end");
    header_of(file, 1)->p_memsz = 0x100;
    expect(elf_read(&p, file, 0x2180, TOP) == 0 && p.segment[1].size == 0x180, "no more of a page than the file has");
}

static void refused(uint8_t *file, uint64_t size, const char *what)
{
    struct elf_program p;
    expect(elf_read(&p, file, size, TOP) == -ENOEXEC, what);
    make_good(file);
}

#define REFUSED(change, what) (change, refused(file, FILE_BYTES, what))

static void test_bad(uint8_t *file)
{
    Elf64_Ehdr *h = (Elf64_Ehdr *)file;
    Elf64_Phdr *text = header_of(file, 0), *data = header_of(file, 1);
    make_good(file);
    REFUSED(file[1] = 'e', "no ELF file");
    REFUSED(h->e_ident[EI_CLASS] = ELFCLASS32, "32 bits");
    REFUSED(h->e_ident[EI_DATA] = ELFDATA2MSB, "big-endian");
    REFUSED(h->e_type = ET_DYN, "position-independent");
    REFUSED(h->e_machine = EM_AARCH64, "another machine");
    REFUSED(h->e_phentsize = 32, "program headers of another size");
    REFUSED(h->e_phnum = 0, "nothing to load");
    REFUSED(h->e_phnum = 0xffff, "headers beyond the file");
    REFUSED(h->e_phoff = ~0ull - 8, "headers at the end of the address space");
    REFUSED(h->e_entry = 1ull << 47, "an entry that is not canonical");
    REFUSED(text->p_type = PT_INTERP, "a dynamic program");
    REFUSED(data->p_offset = ~0ull - 0xfef, "an offset that wraps");
    REFUSED(data->p_offset = 0x3010, "bytes beyond the file");
    REFUSED(data->p_filesz = ~0ull, "a file size that wraps");
    REFUSED(data->p_memsz = 0x10, "less in memory than in the file");
    REFUSED(data->p_memsz = ~0ull, "a size that wraps");
    REFUSED(data->p_memsz = TOP, "a size beyond the user's memory");
    REFUSED(data->p_vaddr = 0x402000, "an address of another offset in its page");
    REFUSED(data->p_vaddr = 0xffffffff80100010, "an address of the kernel's");
    REFUSED(data->p_vaddr = 0x10, "page 0");
    REFUSED(data->p_vaddr = 0x401010, "segments that overlap");
    REFUSED(text->p_memsz = 0x2001, "segments that share a page");
    refused(file, sizeof(Elf64_Ehdr) - 1, "a file cut in its header");
    refused(file, 0x2100, "a file cut in its data");
}

// What the kernel relies on when a file is accepted.
static bool sound(const struct elf_program *p, uint64_t size)
{
    bool good = p->segments > 0 && p->segments <= ELF_SEGMENTS_MAX && p->entry < TOP;
    for (unsigned i = 0; i < p->segments; i++) {
        const struct elf_segment *s = &p->segment[i];
        good &= s->start < s->end && s->end <= TOP && s->end <= p->end && s->start % 4096 == 0 && s->end % 4096 == 0 &&
                s->offset % 4096 == 0 && s->size <= s->end - s->start && s->prot < 8;
        good &= !s->size || (s->offset <= size && s->size <= size - s->offset);
        for (unsigned k = 0; k < i; k++)
            good &= s->end <= p->segment[k].start || p->segment[k].end <= s->start;
    }
    return good;
}

static void test_random(uint8_t *file)
{
    static const uint64_t odd[] = {0, 1, 0xfff, 0x1000, 0x2fff, 1ull << 31, TOP, 1ull << 47, 1ull << 63, ~0ull};
    unsigned accepted = 0, unsound = 0;
    srand(1);
    for (unsigned i = 0; i < MUTATIONS; i++) {
        struct elf_program p;
        make_good(file);
        for (int changes = rand() % 4; changes >= 0; changes--) {
            uint8_t *at = file + (size_t)rand() % (sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr) - 8);
            uint64_t value = odd[(size_t)rand() % (sizeof odd / sizeof *odd)];
            if (rand() % 2)
                *at = (uint8_t)rand();
            else
                memcpy(at, &value, sizeof value);
        }
        if (elf_read(&p, file, FILE_BYTES, TOP) == 0) {
            accepted++;
            unsound += !sound(&p, FILE_BYTES);
        }
    }
    expect(unsound == 0, "random changes: what is accepted is sound");
    expect(accepted > MUTATIONS / 100 && accepted < MUTATIONS, "random changes: some accepted, some refused");
}

int main(void)
{
    uint8_t *file = malloc(FILE_BYTES); // the heap: a sanitizer knows its end
    if (!file)
        return 1;
    test_good(file);
    test_bad(file);
    test_random(file);
    free(file);
    return failures != 0;
}
