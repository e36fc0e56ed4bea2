// SPDX-License-Identifier: BSD-2-Clause
// Dispatch of port and memory-mapped accesses to devices. A table by port, because the cost of one `in` is measured;
// a list for memory, because there are two such devices.
#include "machine/bus.h"

#include <assert.h>

static uint64_t ones(unsigned size)
{
    return ~0ull >> (64 - 8 * size);
}

void bus_add_pio(struct bus *b, const struct pio_range *range)
{
    assert(b->pio_count < BUS_PIO_RANGES && range->count && range->first + range->count <= 65536);
    unsigned index = ++b->pio_count;
    b->pio[index] = *range;
    for (unsigned i = 0; i < range->count; i++) {
        assert(!b->owner[range->first + i]);
        b->owner[range->first + i] = (uint8_t)index;
    }
}

void bus_add_mmio(struct bus *b, const struct mmio_range *range)
{
    assert(b->mmio_count < BUS_MMIO_RANGES);
    b->mmio[b->mmio_count++] = *range;
}

void bus_move_mmio(struct bus *b, const void *dev, uint64_t base, uint64_t size)
{
    for (unsigned i = 0; i < b->mmio_count; i++) {
        if (b->mmio[i].dev == dev) {
            b->mmio[i].base = base;
            b->mmio[i].size = size;
        }
    }
}

// The range that can answer the access whole, or NULL.
static const struct pio_range *pio_find(const struct bus *b, uint16_t port, unsigned size)
{
    const struct pio_range *r = &b->pio[b->owner[port]];
    return size <= r->max_size && (unsigned)port + size <= (unsigned)r->first + r->count ? r : NULL;
}

enum vcpu_exit bus_pio_read(struct bus *b, uint16_t port, unsigned size, uint32_t *value)
{
    const struct pio_range *r = pio_find(b, port, size);
    if (r) {
        *value = (uint32_t)ones(size);
        enum vcpu_exit e = r->read ? r->read(r->dev, port, size, value) : VCPU_CONTINUE;
        *value &= (uint32_t)ones(size);
        return e;
    }
    if (size == 1) {
        *value = 0xff;
        return VCPU_CONTINUE;
    }
    enum vcpu_exit result = VCPU_CONTINUE;
    uint32_t all = 0;
    for (unsigned i = 0; i < size; i++) {
        uint32_t byte;
        enum vcpu_exit e = bus_pio_read(b, (uint16_t)(port + i), 1, &byte);
        result = result ? result : e;
        all |= byte << (8 * i);
    }
    *value = all;
    return result;
}

enum vcpu_exit bus_pio_write(struct bus *b, uint16_t port, unsigned size, uint32_t value)
{
    const struct pio_range *r = pio_find(b, port, size);
    if (r)
        return r->write ? r->write(r->dev, port, size, value & (uint32_t)ones(size)) : VCPU_CONTINUE;
    enum vcpu_exit result = VCPU_CONTINUE;
    for (unsigned i = 0; i < size && size > 1; i++) {
        enum vcpu_exit e = bus_pio_write(b, (uint16_t)(port + i), 1, value >> (8 * i));
        result = result ? result : e;
    }
    return result;
}

static const struct mmio_range *mmio_find(const struct bus *b, uint64_t addr, unsigned size)
{
    for (unsigned i = 0; i < b->mmio_count; i++) {
        const struct mmio_range *r = &b->mmio[i];
        if (addr >= r->base && addr - r->base < r->size && size <= r->size - (addr - r->base))
            return r;
    }
    return NULL;
}

enum vcpu_exit bus_mmio_read(struct bus *b, gpa_t addr, unsigned size, uint64_t *value)
{
    const struct mmio_range *r = mmio_find(b, addr.v, size);
    *value = ones(size);
    if (!r)
        return VCPU_CONTINUE;
    enum vcpu_exit e = r->read(r->dev, addr.v - r->base, size, value);
    *value &= ones(size);
    return e;
}

enum vcpu_exit bus_mmio_write(struct bus *b, gpa_t addr, unsigned size, uint64_t value)
{
    const struct mmio_range *r = mmio_find(b, addr.v, size);
    return r ? r->write(r->dev, addr.v - r->base, size, value & ones(size)) : VCPU_CONTINUE;
}
