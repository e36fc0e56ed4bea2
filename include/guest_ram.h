// SPDX-License-Identifier: BSD-2-Clause
// Guest-physical memory and the one checked gate to it. Everything that turns a guest-physical address into a host
// pointer, in every engine and device, goes through ram_at(); a guest can therefore never reach the monitor's memory.
#ifndef RINGSIDE_GUEST_RAM_H
#define RINGSIDE_GUEST_RAM_H

#include <stddef.h>
#include <stdint.h>

#define GUEST_PAGE_SIZE 4096ull
#define GUEST_PAGE_MASK (~(GUEST_PAGE_SIZE - 1))

// RAM lies at [0, 3 GiB) and goes on at 4 GiB; between them are the devices.
#define RAM_HOLE_START 0xc0000000ull
#define RAM_HOLE_END 0x100000000ull

// A guest-physical address is a type of its own: it never mixes with guest-virtual or host-virtual ones.
typedef struct gpa {
    uint64_t v;
} gpa_t;

static inline gpa_t gpa(uint64_t v)
{
    return (gpa_t){v};
}

struct guest_ram {
    uint8_t *base; // host-virtual address of the whole memfd, mapped once and linearly
    uint64_t size; // bytes; a multiple of 2 MiB
    int memfd;     // so that an engine can map parts of it again elsewhere
};

// Offset of gpa in the memfd; meaningful only where ram_at() says that it is RAM.
static inline uint64_t ram_offset(gpa_t a)
{
    return a.v < RAM_HOLE_END ? a.v : a.v - (RAM_HOLE_END - RAM_HOLE_START);
}

// The gate: host pointer to [a, a + len), or NULL where any byte of it is not RAM. The range never crosses the hole.
static inline void *ram_at(const struct guest_ram *ram, gpa_t a, uint64_t len)
{
    if (a.v >= RAM_HOLE_START && a.v < RAM_HOLE_END)
        return NULL;
    uint64_t off = ram_offset(a);
    uint64_t end = a.v < RAM_HOLE_START && ram->size > RAM_HOLE_START ? RAM_HOLE_START : ram->size;
    if (off >= end || len > end - off)
        return NULL;
    return ram->base + off;
}

#endif
