// SPDX-License-Identifier: BSD-2-Clause
// The header that an image carries, and what a Multiboot guest finds at its entry.
#include "machine/multiboot.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "include/guest_abi.h"
#include "machine/loader.h"
#include "machine/ram.h"
#include "x86/regs.h"

#define HEADER_MAGIC 0x1badb002u
#define BOOT_MAGIC 0x2badb002u
#define SEARCH_BYTES 8192u
#define HEADER_WORDS 3u         // magic, flags, checksum
#define FLAGS_MUST 0xffffu      // those of the flags that must be understood
#define FLAGS_UNDERSTOOD 0x3u   // modules on page boundaries (there are none), memory information
#define FLAG_ADDRESSES 0x10000u // load addresses in the header, for files that are not ELF

#define INFO_MEMORY 0x1u
#define INFO_CMDLINE 0x4u
#define INFO_MAP 0x40u
#define RAM_AVAILABLE 1u

struct info { // section 3.3, as far as it is filled in
    uint32_t flags;
    uint32_t mem_lower, mem_upper; // KiB, from 0 and from 1 MiB
    uint32_t boot_device;
    uint32_t cmdline;
    uint32_t mods_count, mods_addr;
    uint32_t syms[4];
    uint32_t mmap_length, mmap_addr;
    uint32_t rest[15];
};

struct map_entry {
    uint32_t size; // of what follows
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed));

bool multiboot_is_for(const void *image, size_t size)
{
    const unsigned char *ident = image;
    return size >= EI_NIDENT && !memcmp(ident, ELFMAG, SELFMAG) && ident[EI_CLASS] == ELFCLASS32;
}

const char *multiboot_refuses(const void *image, size_t size)
{
    size_t end = size < SEARCH_BYTES ? size : SEARCH_BYTES;
    for (size_t at = 0; at + HEADER_WORDS * 4 <= end; at += 4) {
        uint32_t header[HEADER_WORDS];
        memcpy(header, (const uint8_t *)image + at, sizeof header);
        if (header[0] != HEADER_MAGIC || header[0] + header[1] + header[2])
            continue;
        if (header[1] & FLAGS_MUST & ~FLAGS_UNDERSTOOD)
            return "its Multiboot header asks for something that is not there (flags)";
        return header[1] & FLAG_ADDRESSES ? "its Multiboot header has load addresses of its own" : NULL;
    }
    return "no Multiboot header in its first 8 KiB";
}

static void write_info(const struct guest_ram *ram)
{
    struct {
        struct info info;
        struct map_entry map[RAM_PIECES_MAX];
    } *at = ram_at(ram, gpa(BOOT_INFO_ADDR), sizeof *at);
    memset(at, 0, sizeof *at);
    struct ram_piece piece[RAM_PIECES_MAX];
    unsigned entries = ram_pieces(ram, piece);
    for (unsigned i = 0; i < entries; i++)
        at->map[i] = (struct map_entry){sizeof *at->map - 4, piece[i].start, piece[i].size, RAM_AVAILABLE};
    at->info.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MAP;
    at->info.mem_lower = (uint32_t)(piece[RAM_LOW].size >> 10);
    at->info.mem_upper = (uint32_t)(piece[RAM_BELOW_HOLE].size >> 10);
    at->info.cmdline = BOOT_CMDLINE_ADDR;
    at->info.mmap_length = entries * (uint32_t)sizeof *at->map;
    at->info.mmap_addr = (uint32_t)BOOT_INFO_ADDR + (uint32_t)offsetof(__typeof__(*at), map);
}

static void set_state(struct vcpu_state *s)
{
    struct segment *cs = &s->seg[SEG_CS];
    s->gpr[RAX] = BOOT_MAGIC;
    s->gpr[RBX] = BOOT_INFO_ADDR;
    s->gpr[RSI] = 0;
    s->cr0 = CR0_PE | CR0_ET;
    s->cr3 = s->cr4 = s->efer = 0;
    cs->attr = (uint16_t)((cs->attr & ~SEG_L) | SEG_DB);
}

int multiboot_prepare(const struct guest_ram *ram, const char *cmdline, uint64_t entry, struct vcpu_state *state,
                      char *err, size_t err_size)
{
    // The first word names the image to itself, as boot loaders do.
    char line[4096];
    snprintf(line, sizeof line, "image%s%s", cmdline && *cmdline ? " " : "", cmdline ? cmdline : "");
    if (boot_prepare(ram, line, entry, state, err, err_size))
        return -1;
    write_info(ram);
    set_state(state);
    return 0;
}
