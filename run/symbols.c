// SPDX-License-Identifier: BSD-2-Clause
// Walks the symbol tables of an image, each access bounds-checked.
#include "run/symbols.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "run/suggest.h"

#define NEAR 0x10000u // a symbol farther below an address says nothing about it

struct elf {
    const uint8_t *bytes;
    size_t size;
};

// A symbol with its name, which ends with a NUL inside the file. False ends the walk.
typedef bool symbol_fn(void *ctx, const Elf64_Sym *symbol, const char *name);

static bool read_at(const struct elf *elf, uint64_t offset, void *to, size_t n)
{
    if (offset > elf->size || n > elf->size - offset)
        return false;
    memcpy(to, elf->bytes + offset, n); // an image need not be aligned
    return true;
}

static bool read_section(const struct elf *elf, const Elf64_Ehdr *header, uint32_t i, Elf64_Shdr *section)
{
    uint64_t skip = (uint64_t)i * sizeof *section;
    return i < header->e_shnum && header->e_shoff <= elf->size &&
           read_at(elf, header->e_shoff + skip, section, sizeof *section);
}

static const char *name_in(const struct elf *elf, const Elf64_Shdr *strings, uint32_t at)
{
    if (strings->sh_offset > elf->size || strings->sh_size > elf->size - strings->sh_offset || at >= strings->sh_size)
        return NULL;
    const char *name = (const char *)elf->bytes + strings->sh_offset + at;
    return memchr(name, '\0', strings->sh_size - at) ? name : NULL;
}

static bool walk_table(const struct elf *elf, const Elf64_Shdr *table, const Elf64_Shdr *strings, symbol_fn *fn,
                       void *ctx)
{
    Elf64_Sym symbol;
    if (table->sh_offset > elf->size || table->sh_size > elf->size - table->sh_offset)
        return true;
    for (uint64_t at = 0; table->sh_size - at >= sizeof symbol; at += sizeof symbol) {
        if (!read_at(elf, table->sh_offset + at, &symbol, sizeof symbol))
            return true;
        const char *name = name_in(elf, strings, symbol.st_name);
        if (name && name[0] && !fn(ctx, &symbol, name))
            return false;
    }
    return true;
}

static void walk(const struct elf *elf, symbol_fn *fn, void *ctx)
{
    Elf64_Ehdr header;
    Elf64_Shdr table, strings;
    if (!read_at(elf, 0, &header, sizeof header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_shentsize != sizeof table)
        return;
    for (uint32_t i = 0; i < header.e_shnum; i++)
        if (read_section(elf, &header, i, &table) && table.sh_type == SHT_SYMTAB &&
            read_section(elf, &header, table.sh_link, &strings) && !walk_table(elf, &table, &strings, fn, ctx))
            return;
}

// ---- By name ----

struct search {
    const char *name;
    bool found;
    uint64_t value;
    struct suggestion nearest;
};

static bool defined_here(const Elf64_Sym *symbol)
{
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    return symbol->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_NOTYPE);
}

static bool compare(void *ctx, const Elf64_Sym *symbol, const char *name)
{
    struct search *s = ctx;
    if (!defined_here(symbol))
        return true;
    suggest_offer(&s->nearest, name);
    s->found = !strcmp(name, s->name);
    s->value = symbol->st_value;
    return !s->found;
}

int symbol_find(const uint8_t *image, size_t size, const char *name, uint64_t *value, char *err, size_t err_size)
{
    struct search s = {.name = name, .nearest = suggest_for(name)};
    const struct elf elf = {image, size};
    char hint[96];
    walk(&elf, compare, &s);
    *value = s.value;
    if (s.found)
        return 0;
    snprintf(err, err_size, "the image has no symbol '%.60s'%s", name, suggest_text(&s.nearest, hint, sizeof hint));
    return -1;
}

// ---- By address ----

struct near {
    uint64_t address, distance;
    const char *name;
};

static bool nearer(void *ctx, const Elf64_Sym *symbol, const char *name)
{
    struct near *n = ctx;
    uint64_t distance = n->address - symbol->st_value;
    bool function = ELF64_ST_TYPE(symbol->st_info) == STT_FUNC; // before a label at the same place
    if (!defined_here(symbol) || symbol->st_value > n->address || symbol->st_shndx == SHN_ABS)
        return true;
    if (distance < n->distance || (distance == n->distance && function)) {
        n->distance = distance;
        n->name = name;
    }
    return true;
}

const char *symbol_text(const uint8_t *image, size_t size, uint64_t address, char *text, size_t text_size)
{
    struct near n = {.address = address, .distance = NEAR};
    const struct elf elf = {image, size};
    walk(&elf, nearer, &n);
    if (!n.name)
        snprintf(text, text_size, "0x%llx", (unsigned long long)address);
    else if (n.distance)
        snprintf(text, text_size, "%.60s+0x%llx", n.name, (unsigned long long)n.distance);
    else
        snprintf(text, text_size, "%.60s", n.name);
    for (char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\')
            *c = '?'; // goes to terminals and into Graphviz
    return text;
}
