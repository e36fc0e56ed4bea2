// SPDX-License-Identifier: BSD-2-Clause
// Items are numbers, little-endian; what is not here reads as zeros, as behind an item's end.
#include "machine/fwcfg.h"

#define PORT_SELECTOR 0x510
#define PORT_DATA 0x511

enum { ITEM_SIGNATURE = 0, ITEM_ID = 1, ITEM_RAM_SIZE = 3, ITEM_CPUS = 5, ITEM_MAX_CPUS = 15 };
#define SIGNATURE 0x554d4551u // "QEMU"
#define ID_TRADITIONAL 1u     // this interface, and no DMA

static uint64_t item(const struct fwcfg *f)
{
    switch (f->selector) {
    case ITEM_SIGNATURE:
        return SIGNATURE;
    case ITEM_ID:
        return ID_TRADITIONAL;
    case ITEM_RAM_SIZE:
        return f->ram_bytes;
    case ITEM_CPUS:
    case ITEM_MAX_CPUS:
        return 1;
    default:
        return 0;
    }
}

static enum vcpu_exit fwcfg_read(void *dev, uint16_t port, unsigned size, uint32_t *value)
{
    struct fwcfg *f = dev;
    (void)size;
    *value = 0;
    if (port == PORT_DATA && f->offset < sizeof(uint64_t))
        *value = item(f) >> (8 * f->offset++) & 0xff;
    return VCPU_CONTINUE;
}

static enum vcpu_exit fwcfg_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct fwcfg *f = dev;
    if (port == PORT_SELECTOR && size == 2) {
        f->selector = (uint16_t)value;
        f->offset = 0;
    }
    return VCPU_CONTINUE;
}

void fwcfg_init(struct fwcfg *f, uint64_t ram_bytes)
{
    *f = (struct fwcfg){.ram_bytes = ram_bytes};
}

void fwcfg_attach(struct fwcfg *f, struct bus *b)
{
    const struct pio_range range = {PORT_SELECTOR, 2, 2, f, fwcfg_read, fwcfg_write};
    bus_add_pio(b, &range);
}
