// SPDX-License-Identifier: BSD-2-Clause
// The ELF loader (System V ABI, chapters 4 and 5): ELF64, and ELF32 with a Multiboot header, which is widened as it is
// read. It checks everything before it copies anything, and each refusal is one line that names what is wrong.
#include "machine/loader.h"

#include <elf.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "include/guest_abi.h"
#include "machine/multiboot.h"

enum { MAX_PROGRAM_HEADERS = 64 };

struct loader {
    const struct guest_ram *ram;
    const uint8_t *image;
    size_t size;
    bool narrow; // ELF32
    Elf64_Ehdr header;
    Elf64_Phdr load[MAX_PROGRAM_HEADERS]; // the PT_LOAD ones that occupy memory
    unsigned count;
    char *err;
    size_t err_size;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct loader *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(l->err, l->err_size, format, args);
    va_end(args);
    return -1;
}

static int check_ident(const struct loader *l)
{
    const unsigned char *ident = l->image;
    if (l->size < SELFMAG || memcmp(ident, ELFMAG, SELFMAG) != 0)
        return refuse(l, "not an ELF file");
    if (l->size < sizeof(Elf64_Ehdr))
        return refuse(l, "truncated ELF file: %zu bytes are too few for the file header", l->size);
    const char *problem = l->narrow ? multiboot_refuses(l->image, l->size) : NULL;
    if (problem)
        return refuse(l, "not a 64-bit ELF file, and a 32-bit one that cannot be started: %s", problem);
    if (!l->narrow && ident[EI_CLASS] != ELFCLASS64)
        return refuse(l, "not a 64-bit ELF file (class %u)", ident[EI_CLASS]);
    if (ident[EI_DATA] != ELFDATA2LSB)
        return refuse(l, "not a little-endian ELF file (data encoding %u)", ident[EI_DATA]);
    if (ident[EI_VERSION] != EV_CURRENT)
        return refuse(l, "unknown ELF version %u", ident[EI_VERSION]);
    return 0;
}

// ---- Both classes as one ----

static size_t phdr_size(const struct loader *l)
{
    return l->narrow ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr);
}

static void read_header(struct loader *l)
{
    Elf32_Ehdr h;
    if (!l->narrow) {
        memcpy(&l->header, l->image, sizeof l->header);
        return;
    }
    memcpy(&h, l->image, sizeof h); // smaller than the other one, whose size has been checked
    l->header = (Elf64_Ehdr){.e_type = h.e_type,
                             .e_machine = h.e_machine,
                             .e_version = h.e_version,
                             .e_entry = h.e_entry,
                             .e_phoff = h.e_phoff,
                             .e_phentsize = h.e_phentsize,
                             .e_phnum = h.e_phnum};
}

static Elf64_Phdr read_phdr(const struct loader *l, unsigned index)
{
    const uint8_t *at = l->image + l->header.e_phoff + index * phdr_size(l);
    Elf64_Phdr wide;
    Elf32_Phdr p;
    if (!l->narrow) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&p, at, sizeof p);
    return (Elf64_Phdr){.p_type = p.p_type,
                        .p_flags = p.p_flags,
                        .p_offset = p.p_offset,
                        .p_vaddr = p.p_vaddr,
                        .p_paddr = p.p_paddr,
                        .p_filesz = p.p_filesz,
                        .p_memsz = p.p_memsz};
}

// ---- Checks ----

static int check_header(const struct loader *l)
{
    const Elf64_Ehdr *h = &l->header;
    if (h->e_machine != (l->narrow ? EM_386 : EM_X86_64))
        return refuse(l, "not for x86-64 (ELF machine %u)", h->e_machine);
    if (h->e_type == ET_DYN)
        return refuse(l, "a position-independent or shared ELF file; link the image as a fixed executable (-no-pie)");
    if (h->e_type == ET_REL)
        return refuse(l, "an unlinked object file, not an executable");
    if (h->e_type != ET_EXEC)
        return refuse(l, "not an executable (ELF type %u)", h->e_type);
    if (h->e_version != EV_CURRENT)
        return refuse(l, "unknown ELF version %u", h->e_version);
    if (!h->e_phnum)
        return refuse(l, "no program headers: nothing to load");
    if (h->e_phentsize != phdr_size(l))
        return refuse(l, "program headers of %u bytes, not %zu", h->e_phentsize, phdr_size(l));
    if (h->e_phnum > MAX_PROGRAM_HEADERS)
        return refuse(l, "%u program headers, more than %d", h->e_phnum, MAX_PROGRAM_HEADERS);
    uint64_t bytes = (uint64_t)h->e_phnum * phdr_size(l);
    if (h->e_phoff > l->size || bytes > l->size - h->e_phoff)
        return refuse(l, "truncated ELF file: the program headers at %#" PRIx64 " lie outside its %zu bytes",
                      h->e_phoff, l->size);
    return 0;
}

static int check_segment(const struct loader *l, const Elf64_Phdr *p, unsigned index)
{
    if (p->p_filesz > p->p_memsz)
        return refuse(l, "segment %u: %#" PRIx64 " bytes in the file but only %#" PRIx64 " in memory", index,
                      p->p_filesz, p->p_memsz);
    if (p->p_filesz && (p->p_offset > l->size || p->p_filesz > l->size - p->p_offset))
        return refuse(l, "segment %u: file bytes %#" PRIx64 " + %#" PRIx64 " lie outside the file's %zu bytes", index,
                      p->p_offset, p->p_filesz, l->size);
    if (p->p_paddr < KERNEL_LOAD_ADDR)
        return refuse(l, "segment %u: loads at %#" PRIx64 ", below %#" PRIx64 ", which the loader keeps for itself",
                      index, p->p_paddr, (uint64_t)KERNEL_LOAD_ADDR);
    if (!ram_at(l->ram, gpa(p->p_paddr), p->p_memsz))
        return refuse(l, "segment %u: %#" PRIx64 " + %#" PRIx64 " bytes lie outside the guest's RAM (%" PRIu64 " MiB)",
                      index, p->p_paddr, p->p_memsz, l->ram->size >> 20);
    for (unsigned i = 0; i < l->count; i++) { // neither end overflows: both ranges are in RAM
        const Elf64_Phdr *q = &l->load[i];
        if (p->p_paddr < q->p_paddr + q->p_memsz && q->p_paddr < p->p_paddr + p->p_memsz)
            return refuse(l, "segment %u: %#" PRIx64 " + %#" PRIx64 " bytes overlap another segment", index, p->p_paddr,
                          p->p_memsz);
    }
    return 0;
}

static int collect_segments(struct loader *l)
{
    for (unsigned i = 0; i < l->header.e_phnum; i++) {
        Elf64_Phdr p = read_phdr(l, i);
        if (p.p_type == PT_INTERP || p.p_type == PT_DYNAMIC)
            return refuse(l, "a dynamically linked executable; link the image statically");
        if (p.p_type != PT_LOAD || (!p.p_memsz && !p.p_filesz))
            continue;
        if (check_segment(l, &p, i))
            return -1;
        l->load[l->count++] = p;
    }
    return l->count ? 0 : refuse(l, "no segment to load (PT_LOAD)");
}

// Where the loader's page tables map va: identity below 4 GiB, the top 2 GiB from 0.
static bool boot_map(uint64_t va, uint64_t *pa)
{
    *pa = va >= KERNEL_VIRT_BASE ? va - KERNEL_VIRT_BASE : va;
    return va >= KERNEL_VIRT_BASE || va < RAM_HOLE_END;
}

// The entry must be reachable through the loader's page tables and lie in an executable segment.
static int check_entry(const struct loader *l)
{
    uint64_t entry = l->header.e_entry, pa;
    if (!boot_map(entry, &pa))
        return refuse(l, "entry %#" PRIx64 " is neither below 4 GiB nor in the top 2 GiB", entry);
    for (unsigned i = 0; i < l->count; i++) {
        const Elf64_Phdr *p = &l->load[i];
        if (entry - p->p_vaddr >= p->p_memsz) // unsigned: below it as well
            continue;
        if (!(p->p_flags & PF_X))
            return refuse(l, "entry %#" PRIx64 " is in a segment that is not executable", entry);
        if (pa - p->p_paddr != entry - p->p_vaddr)
            return refuse(l, "entry %#" PRIx64 " is mapped to %#" PRIx64 " but its segment loads elsewhere", entry, pa);
        return 0;
    }
    return refuse(l, "entry %#" PRIx64 " is in no segment", entry);
}

int elf_load(const struct guest_ram *ram, const void *image, size_t size, uint64_t *entry, char *err, size_t err_size)
{
    struct loader l = {.ram = ram, .image = image, .size = size, .err = err, .err_size = err_size};
    l.narrow = multiboot_is_for(image, size);
    if (check_ident(&l))
        return -1;
    read_header(&l);
    if (check_header(&l) || collect_segments(&l) || check_entry(&l))
        return -1;

    for (unsigned i = 0; i < l.count; i++) {
        const Elf64_Phdr *p = &l.load[i];
        uint8_t *to = ram_at(ram, gpa(p->p_paddr), p->p_memsz);
        if (p->p_filesz) // else the offset means nothing
            memcpy(to, l.image + p->p_offset, p->p_filesz);
        memset(to + p->p_filesz, 0, p->p_memsz - p->p_filesz);
    }
    *entry = l.header.e_entry;
    return 0;
}
