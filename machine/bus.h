// SPDX-License-Identifier: BSD-2-Clause
// Who answers which port and which physical address. Devices register ranges; what nobody answers reads as all ones
// and ignores writes, as on a PC.
#ifndef RINGSIDE_MACHINE_BUS_H
#define RINGSIDE_MACHINE_BUS_H

#include <stdint.h>

#include "include/guest_ram.h"
#include "include/vcpu.h"

typedef enum vcpu_exit pio_read_fn(void *dev, uint16_t port, unsigned size, uint32_t *value);
typedef enum vcpu_exit pio_write_fn(void *dev, uint16_t port, unsigned size, uint32_t value);
typedef enum vcpu_exit mmio_read_fn(void *dev, uint64_t offset, unsigned size, uint64_t *value);
typedef enum vcpu_exit mmio_write_fn(void *dev, uint64_t offset, unsigned size, uint64_t value);

struct pio_range {
    uint16_t first, count;
    unsigned max_size; // wider accesses reach the device as bytes at consecutive ports, as the ISA bus splits them
    void *dev;
    pio_read_fn *read; // never called with an access that leaves the range
    pio_write_fn *write;
};

struct mmio_range {
    uint64_t base, size;
    void *dev;
    mmio_read_fn *read;
    mmio_write_fn *write;
};

enum { BUS_PIO_RANGES = 32, BUS_MMIO_RANGES = 4 };

struct bus {
    struct pio_range pio[BUS_PIO_RANGES + 1]; // [0] is nobody
    unsigned pio_count;
    uint8_t owner[65536]; // of each port: index into pio
    struct mmio_range mmio[BUS_MMIO_RANGES];
    unsigned mmio_count;
};

void bus_add_pio(struct bus *b, const struct pio_range *range);
void bus_add_mmio(struct bus *b, const struct mmio_range *range);
// Moves dev's range to base, or takes it off the bus where size is 0.
void bus_move_mmio(struct bus *b, const void *dev, uint64_t base, uint64_t size);

enum vcpu_exit bus_pio_read(struct bus *b, uint16_t port, unsigned size, uint32_t *value);
enum vcpu_exit bus_pio_write(struct bus *b, uint16_t port, unsigned size, uint32_t value);
enum vcpu_exit bus_mmio_read(struct bus *b, gpa_t addr, unsigned size, uint64_t *value);
enum vcpu_exit bus_mmio_write(struct bus *b, gpa_t addr, unsigned size, uint64_t value);

#endif
