// SPDX-License-Identifier: BSD-2-Clause
// Ports at CPL 3 with less IOPL: the TSS's bitmap, one bit for each byte of a port, two bytes of it read at a time, its
// place and the TSS's limit (SDM vol. 1, 19.5.2; vol. 3, 8.7).
#include "tests/guest/access.h"
#include "tests/guest/descriptors.h"

IMAGE("port_map");

#define TYPE_TSS 9
#define PORT 0xe0 // nobody's
enum { MAP_BYTES = 0x20, LAST = MAP_BYTES * 8 };

static uint64_t table[LIBRARY_ENTRIES + OWN_ENTRIES] __attribute__((aligned(16)));
static struct {
    struct tss tss;
    uint8_t map[MAP_BYTES + 1];
} __attribute__((packed, aligned(16))) own;

static USER_CODE uint64_t in1(void *port)
{
    uint8_t value;
    __asm__ volatile("inb %%dx, %0" : "=a"(value) : "d"(port));
    return value;
}

static USER_CODE uint64_t in2(void *port)
{
    uint16_t value;
    __asm__ volatile("inw %%dx, %0" : "=a"(value) : "d"(port));
    return value;
}

static USER_CODE uint64_t in4(void *port)
{
    uint32_t value;
    __asm__ volatile("inl %%dx, %0" : "=a"(value) : "d"(port));
    return value;
}

static USER_CODE uint64_t out1(void *port)
{
    __asm__ volatile("outb %%al, %%dx" : : "a"(0), "d"(port));
    return 0;
}

static USER_CODE uint64_t outs_nowhere(void *port) // of memory that is not there
{
    uint64_t at = TEST_VA;
    __asm__ volatile("outsb" : "+S"(at) : "d"(port) : "memory");
    return 0;
}

static USER_CODE uint64_t ins_nowhere(void *port)
{
    uint64_t at = TEST_VA;
    __asm__ volatile("insb" : "+D"(at) : "d"(port) : "memory");
    return 0;
}

static struct access {
    uint64_t (*code)(void *);
    uint64_t port;
} access;

static void at_user(void *arg)
{
    (void)arg;
    run_user(access.code, (void *)access.port);
}

static int try(uint64_t (*code)(void *), uint64_t port)
{
    access = (struct access){code, port};
    struct caught c = catch_fault(at_user, NULL);
    CHECK(c.vector != VEC_GP || c.error == 0);
    return c.vector;
}

// A TSS descriptor of its own for each limit, as loading one makes it busy.
static void load_tss(unsigned entry, unsigned limit)
{
    uint64_t base = (uint64_t)&own;
    table[LIBRARY_ENTRIES + entry] = D_LIMIT(limit) | D_BASE(base) | D_TYPE(TYPE_TSS) | D_P;
    table[LIBRARY_ENTRIES + entry + 1] = base >> 32;
    __asm__ volatile("ltr %w0" : : "r"(OWN_SELECTOR(entry)));
}

static void open_port(unsigned port, bool open)
{
    if (open)
        own.map[port / 8] &= (uint8_t) ~(1u << port % 8);
    else
        own.map[port / 8] |= (uint8_t)(1u << port % 8);
}

static void bits(void)
{
    CHECK_EQ(try(in1, PORT), VEC_GP);
    open_port(PORT, true);
    CHECK_EQ(try(in1, PORT), -1);
    CHECK_EQ(try(out1, PORT), -1);
    CHECK_EQ(try(in1, PORT + 1), VEC_GP);
    CHECK_EQ(try(in1, PORT - 1), VEC_GP);
    CHECK_EQ(try(in2, PORT), VEC_GP);
    open_port(PORT + 1, true);
    CHECK_EQ(try(in2, PORT), -1);
    CHECK_EQ(try(in4, PORT), VEC_GP);
    open_port(PORT + 2, true);
    CHECK_EQ(try(in4, PORT), VEC_GP);
    open_port(PORT + 3, true);
    CHECK_EQ(try(in4, PORT), -1);
    open_port(PORT + 1, false);
    CHECK_EQ(try(in4, PORT), VEC_GP);
    CHECK_EQ(try(in1, PORT), -1);
    // Bits in two bytes of the map
    open_port(PORT + 7, true), open_port(PORT + 8, false);
    CHECK_EQ(try(in2, PORT + 7), VEC_GP);
    open_port(PORT + 8, true);
    CHECK_EQ(try(in2, PORT + 7), -1);
}

// The check of the port comes before what the memory operand gives.
static void strings(void)
{
    open_port(PORT, true);
    CHECK_EQ(try(outs_nowhere, PORT), VEC_PF);
    CHECK_EQ(try(ins_nowhere, PORT), VEC_PF);
    open_port(PORT, false);
    CHECK_EQ(try(outs_nowhere, PORT), VEC_GP);
    CHECK_EQ(try(ins_nowhere, PORT), VEC_GP);
}

// Both bytes lie within the TSS, even if the port needs one.
static void limits(void)
{
    open_port(LAST - 8, true), open_port(LAST - 9, true);
    load_tss(2, sizeof own.tss + MAP_BYTES); // with a byte behind the map, as the manual wants
    CHECK_EQ(try(in1, LAST - 8), -1);
    CHECK_EQ(try(in1, LAST), VEC_GP);
    CHECK_EQ(try(in1, 0xffff), VEC_GP);
    load_tss(4, sizeof own.tss + MAP_BYTES - 1);
    CHECK_EQ(try(in1, LAST - 8), VEC_GP);
    CHECK_EQ(try(in1, LAST - 9), -1);
    own.tss.io_map_base = 0xffff;
    CHECK_EQ(try(in1, LAST - 9), VEC_GP);
    own.tss.io_map_base = sizeof own.tss;
    CHECK_EQ(try(in1, LAST - 9), -1);
}

// With IOPL 3, or at CPL 0, there is no map.
static void without(void)
{
    for (unsigned i = 0; i < sizeof own.map; i++)
        own.map[i] = 0xff;
    CHECK_EQ(try(in1, PORT), VEC_GP);
    write_flags(FLAG_IOPL); // run_user() takes the caller's
    CHECK_EQ(try(in1, PORT), -1);
    CHECK_EQ(try(in4, 0xfffc), -1);
    write_flags(0);
    inb(PORT);
}

int image_main(void)
{
    own_gdt(table);
    own.tss = guest.tss;
    own.tss.io_map_base = sizeof own.tss;
    for (unsigned i = 0; i < sizeof own.map; i++)
        own.map[i] = 0xff;
    load_tss(0, sizeof own - 1);
    bits();
    strings();
    limits();
    without();
    return 0;
}
