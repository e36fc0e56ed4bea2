// SPDX-License-Identifier: BSD-2-Clause
// The setup header that a Linux kernel carries, and the boot parameters ("zero page") that it finds.
#include "machine/linux.h"

#include <elf.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "include/guest_abi.h"
#include "machine/loader.h"
#include "machine/ram.h"

#define SECTOR 512u
#define HEADER_AT 0x1f1u          // of the file and of the boot parameters
#define HEADER_DISTANCE_AT 0x201u // how far behind HEADER_END_LEAST it ends: later versions have more fields
#define HEADER_END_LEAST 0x202u
#define HEADER_MAGIC 0x53726448u // "HdrS"
#define OLDEST_VERSION 0x020cu   // the first with xloadflags
#define XLF_KERNEL_64 1u
#define ENTRY_64 0x200u // from where the kernel is loaded
#define LOADER_UNDEFINED 0xffu
#define SETUP_SECTORS_DEFAULT 4u
#define PARAMS_ADDR 0x8000ull // behind the command line, below the stack that boot_prepare() gives
#define E820_RAM 1u
#define E820_MAX 128u

struct setup_header { // "The Real-Mode Kernel Header", from 0x1f1
    uint8_t setup_sects;
    uint16_t root_flags;
    uint32_t syssize;
    uint16_t ram_size, vid_mode, root_dev, boot_flag;
    uint8_t jump, jump_distance;
    uint32_t magic;
    uint16_t version;
    uint32_t realmode_switch;
    uint16_t start_sys_seg, kernel_version;
    uint8_t type_of_loader, loadflags;
    uint16_t setup_move_size;
    uint32_t code32_start, ramdisk_image, ramdisk_size, bootsect_kludge;
    uint16_t heap_end_ptr;
    uint8_t ext_loader_ver, ext_loader_type;
    uint32_t cmd_line_ptr, initrd_addr_max, kernel_alignment;
    uint8_t relocatable_kernel, min_alignment;
    uint16_t xloadflags;
    uint32_t cmdline_size, hardware_subarch;
    uint64_t hardware_subarch_data;
    uint32_t payload_offset, payload_length;
    uint64_t setup_data, pref_address;
    uint32_t init_size, handover_offset, kernel_info_offset;
} __attribute__((packed));

struct e820_entry {
    uint64_t addr, size;
    uint32_t type;
} __attribute__((packed));

struct boot_params { // as far as it is filled in
    uint8_t screen_info[0x1e8];
    uint8_t e820_entries;
    uint8_t unused[HEADER_AT - 0x1e9];
    struct setup_header header;
    uint8_t unused_too[0x2d0 - HEADER_AT - sizeof(struct setup_header)];
    struct e820_entry e820[E820_MAX];
    uint8_t rest[0x1000 - 0x2d0 - sizeof(struct e820_entry[E820_MAX])];
} __attribute__((packed));
_Static_assert(sizeof(struct boot_params) == GUEST_PAGE_SIZE, "the zero page is a page");

struct load {
    const struct guest_ram *ram;
    const struct linux_guest *guest;
    struct ram_piece piece[RAM_PIECES_MAX];
    unsigned pieces;
    struct setup_header header;
    uint64_t kernel_at, initrd_at; // guest-physical
    size_t setup_bytes;            // of the file, before the part that runs in protected mode
    char *err;
    size_t err_size;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct load *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(l->err, l->err_size, format, args);
    va_end(args);
    return -1;
}

bool linux_is_for(const void *image, size_t size)
{
    struct setup_header h;
    if (size < HEADER_AT + sizeof h || !memcmp(image, ELFMAG, SELFMAG))
        return false;
    memcpy(&h, (const uint8_t *)image + HEADER_AT, sizeof h);
    return h.boot_flag == 0xaa55 && h.magic == HEADER_MAGIC;
}

static int check_header(struct load *l)
{
    struct setup_header *h = &l->header;
    const uint8_t *kernel = l->guest->kernel;
    size_t bytes = HEADER_END_LEAST + kernel[HEADER_DISTANCE_AT] - HEADER_AT;
    memcpy(h, kernel + HEADER_AT, bytes < sizeof *h ? bytes : sizeof *h);
    if (h->version < OLDEST_VERSION)
        return refuse(l, "a Linux kernel of boot protocol %u.%u, older than 2.12", h->version >> 8, h->version & 0xff);
    if (!(h->xloadflags & XLF_KERNEL_64))
        return refuse(l, "a Linux kernel without a 64-bit entry: not for x86-64");
    if (l->guest->cmdline && strlen(l->guest->cmdline) > h->cmdline_size)
        return refuse(l, "the command line has %zu bytes, and this kernel takes %u", strlen(l->guest->cmdline),
                      h->cmdline_size);
    l->setup_bytes = (1 + (h->setup_sects ? h->setup_sects : SETUP_SECTORS_DEFAULT)) * (size_t)SECTOR;
    if (l->setup_bytes >= l->guest->kernel_size)
        return refuse(l, "truncated Linux kernel: its set-up code alone has %zu bytes", l->setup_bytes);
    return 0;
}

// The kernel where it prefers to be, with the room that it asks for, and the initial RAM disk as high as may be.
static int place(struct load *l)
{
    const struct setup_header *h = &l->header;
    const struct ram_piece *ram = &l->piece[RAM_BELOW_HOLE];
    uint64_t bytes = l->guest->kernel_size - l->setup_bytes, room = h->init_size > bytes ? h->init_size : bytes;
    uint64_t top = ram->start + ram->size, limit = (uint64_t)h->initrd_addr_max + 1;
    l->kernel_at = h->pref_address;
    if (l->kernel_at < ram->start || l->kernel_at > top || room > top - l->kernel_at)
        return refuse(
            l, "a Linux kernel that wants %" PRIu64 " MiB at %#" PRIx64 ", and the guest has %" PRIu64 " MiB of RAM",
            room >> 20, l->kernel_at, l->ram->size >> 20);
    top = top < limit ? top : limit;
    l->initrd_at = l->guest->initrd_size < top ? (top - l->guest->initrd_size) & GUEST_PAGE_MASK : 0;
    if (l->guest->initrd && l->initrd_at < l->kernel_at + room)
        return refuse(
            l, "no room for an initial RAM disk of %zu bytes behind the kernel: the guest has %" PRIu64 " MiB of RAM",
            l->guest->initrd_size, l->ram->size >> 20);
    return 0;
}

static void write_params(const struct load *l)
{
    struct boot_params *p = ram_at(l->ram, gpa(PARAMS_ADDR), sizeof *p);
    memset(p, 0, sizeof *p);
    p->header = l->header;
    p->header.type_of_loader = LOADER_UNDEFINED;
    p->header.cmd_line_ptr = (uint32_t)BOOT_CMDLINE_ADDR;
    p->header.ramdisk_image = l->guest->initrd ? (uint32_t)l->initrd_at : 0;
    p->header.ramdisk_size = (uint32_t)l->guest->initrd_size;
    p->e820_entries = (uint8_t)l->pieces;
    for (unsigned i = 0; i < l->pieces; i++)
        p->e820[i] = (struct e820_entry){l->piece[i].start, l->piece[i].size, E820_RAM};
}

int linux_load(const struct guest_ram *ram, const struct linux_guest *guest, struct vcpu_state *state, char *err,
               size_t err_size)
{
    struct load l = {.ram = ram, .guest = guest, .err = err, .err_size = err_size};
    l.pieces = ram_pieces(ram, l.piece);
    if (check_header(&l) || place(&l) ||
        boot_prepare(ram, guest->cmdline, l.kernel_at + ENTRY_64, state, err, err_size))
        return -1;
    size_t bytes = guest->kernel_size - l.setup_bytes;
    memcpy(ram_at(ram, gpa(l.kernel_at), bytes), (const uint8_t *)guest->kernel + l.setup_bytes, bytes);
    if (guest->initrd)
        memcpy(ram_at(ram, gpa(l.initrd_at), guest->initrd_size), guest->initrd, guest->initrd_size);
    write_params(&l);
    state->gpr[RSI] = PARAMS_ADDR;
    return 0;
}
