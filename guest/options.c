// SPDX-License-Identifier: BSD-2-Clause
// The command line, from wherever the loader put it: words of the form key=value.
#include "guest/report.h"
#include "guest/state.h"

// The part of Xen's struct hvm_start_info that we need (Xen, public/arch-x86/hvm/start_info.h).
struct pvh_start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, cmdline;
};
#define PVH_MAGIC 0x336ec578

// Multiboot2 specification 1.6, 3.6.
struct multiboot2_tag {
    uint32_t type, size;
    char cmdline[];
};
#define MULTIBOOT2_TAG_END 0
#define MULTIBOOT2_TAG_CMDLINE 1
#define MULTIBOOT2_INFO_HEADER 8
#define MULTIBOOT2_TAG_ALIGN 8

static const char *multiboot2_cmdline(uint64_t info)
{
    uint64_t at = info + MULTIBOOT2_INFO_HEADER;
    for (;;) {
        const struct multiboot2_tag *tag = (const void *)at;
        if (tag->type == MULTIBOOT2_TAG_CMDLINE)
            return tag->cmdline;
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
    return multiboot2_cmdline(info);
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
