// SPDX-License-Identifier: BSD-2-Clause
// What the loader tells, wherever it put it: the command line, words of the form key=value, and where RAM ends.
#include "guest/report.h"
#include "guest/state.h"

// The part of Xen's struct hvm_start_info that we need (Xen, public/arch-x86/hvm/start_info.h).
struct pvh_start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, cmdline, rsdp;
    uint64_t memory; // from version 1 on
    uint32_t memory_count, reserved;
};
#define PVH_MAGIC 0x336ec578

// An entry of a memory map; that of PVH (memmap.h, struct hvm_memmap_table_entry) and of multiboot2 are the same.
struct memory_range {
    uint64_t start, size;
    uint32_t type, reserved;
};
#define MEMORY_RAM 1
#define RAM_LEAST 0x8000000 // 128 MiB: assumed of a loader that tells nothing

// Multiboot2 specification 1.6, 3.6.
struct multiboot2_tag {
    uint32_t type, size;
    char cmdline[];
};
#define MULTIBOOT2_TAG_END 0
#define MULTIBOOT2_TAG_CMDLINE 1
#define MULTIBOOT2_TAG_MEMORY 6
#define MULTIBOOT2_MEMORY_HEADER 16 // of the tag, then entries
#define MULTIBOOT2_INFO_HEADER 8
#define MULTIBOOT2_TAG_ALIGN 8

static const struct multiboot2_tag *multiboot2_find(uint64_t info, uint32_t type)
{
    uint64_t at = info + MULTIBOOT2_INFO_HEADER;
    for (;;) {
        const struct multiboot2_tag *tag = (const void *)at;
        if (tag->type == type)
            return tag;
        if (tag->type == MULTIBOOT2_TAG_END)
            return NULL;
        at += (tag->size + MULTIBOOT2_TAG_ALIGN - 1) & ~(uint64_t)(MULTIBOOT2_TAG_ALIGN - 1);
    }
}

static const char *find_cmdline(unsigned how, uint64_t info)
{
    if (how == BOOT_RINGSIDE) {
        const struct boot_info *boot = (const void *)info;
        return boot->magic == BOOT_INFO_MAGIC ? (const char *)boot->cmdline : NULL;
    }
    if (how == BOOT_PVH) {
        const struct pvh_start_info *start = (const void *)info;
        return start->magic == PVH_MAGIC ? (const char *)start->cmdline : NULL;
    }
    const struct multiboot2_tag *tag = multiboot2_find(info, MULTIBOOT2_TAG_CMDLINE);
    return tag ? tag->cmdline : NULL;
}

static uint64_t end_in_map(const struct memory_range *map, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t end = map[i].start + map[i].size;
        if (map[i].type == MEMORY_RAM && map[i].start <= KERNEL_LOAD_ADDR && KERNEL_LOAD_ADDR < end)
            return end;
    }
    return RAM_LEAST;
}

static uint64_t find_ram_end(unsigned how, uint64_t info)
{
    if (how == BOOT_RINGSIDE) {
        const struct boot_info *boot = (const void *)info;
        return boot->magic == BOOT_INFO_MAGIC ? boot->ram_bytes : RAM_LEAST;
    }
    if (how == BOOT_PVH) {
        const struct pvh_start_info *start = (const void *)info;
        if (start->magic != PVH_MAGIC || start->version < 1)
            return RAM_LEAST;
        return end_in_map((const void *)start->memory, start->memory_count);
    }
    const struct multiboot2_tag *tag = multiboot2_find(info, MULTIBOOT2_TAG_MEMORY);
    if (!tag)
        return RAM_LEAST;
    return end_in_map((const void *)((uint64_t)tag + MULTIBOOT2_MEMORY_HEADER),
                      (tag->size - MULTIBOOT2_MEMORY_HEADER) / sizeof(struct memory_range));
}

uint64_t ram_end(void)
{
    return guest.ram_end;
}

void options_init(unsigned how, uint64_t info)
{
    const char *line = find_cmdline(how, info);
    size_t size = 0;
    if (line) {
        for (; line[size] && size < sizeof guest.cmdline - 1; size++)
            guest.cmdline[size] = line[size] == ' ' ? '\0' : line[size];
    }
    guest.cmdline_size = size;
    guest.ram_end = find_ram_end(how, info);
}

const char *option(const char *key)
{
    for (size_t at = 0; at < guest.cmdline_size; at++) {
        bool word_starts = at == 0 || !guest.cmdline[at - 1];
        const char *value = word_starts ? word_value(guest.cmdline + at, key) : NULL;
        if (value)
            return value;
    }
    return NULL;
}
