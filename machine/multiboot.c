// SPDX-License-Identifier: BSD-2-Clause
// The header that an image carries, and what a Multiboot guest finds at its entry.
#include "machine/multiboot.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "include/guest_abi.h"
#include "machine/loader.h"
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
#define LOW_MEMORY_KIB 639u // up to where a PC keeps its extended BIOS data
#define HIGH_MEMORY 0x100000ull
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

// RAM as an image finds it: below 640 KiB, from 1 MiB to the hole, and above 4 GiB.
static unsigned write_map(const struct guest_ram *ram, struct map_entry map[3])
{
    uint64_t below_hole = ram->size < RAM_HOLE_START ? ram->size : RAM_HOLE_START, above = ram->size - below_hole;
    map[0] = (struct map_entry){sizeof *map - 4, 0, LOW_MEMORY_KIB << 10, RAM_AVAILABLE};
    map[1] = (struct map_entry){sizeof *map - 4, HIGH_MEMORY, below_hole - HIGH_MEMORY, RAM_AVAILABLE};
    map[2] = (struct map_entry){sizeof *map - 4, RAM_HOLE_END, above, RAM_AVAILABLE};
    return above ? 3 : 2;
}

static void write_info(const struct guest_ram *ram)
{
    struct {
        struct info info;
        struct map_entry map[3];
    } *at = ram_at(ram, gpa(BOOT_INFO_ADDR), sizeof *at);
    memset(at, 0, sizeof *at);
    unsigned entries = write_map(ram, at->map);
    at->info.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MAP;
    at->info.mem_lower = LOW_MEMORY_KIB;
    at->info.mem_upper = (uint32_t)(at->map[1].length >> 10);
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
