// SPDX-License-Identifier: BSD-2-Clause
// The ports that are hardly devices. The POST port answers like the latch that it is on a PC (a DMA page register), so
// that the `in` benchmark reads a device and not the void.
#include "machine/ports.h"

#include "include/guest_abi.h"

#define PORT_DELAY 0xed // as Linux's io_delay=0xed
#define PORT_KBD_DATA 0x60
#define PORT_KBD_COMMAND 0x64
#define KBD_RESET 0xfe // pulse output line 0, the CPU's reset
#define PORT_PCI_ADDRESS 0xcf8
#define PORT_RESET_CONTROL 0xcf9
#define RESET_CONTROL_CPU 4

static enum vcpu_exit post_read(void *dev, uint16_t port, unsigned size, uint32_t *value)
{
    struct ports *p = dev;
    (void)size;
    *value = p->post[port - PORT_POST];
    return VCPU_CONTINUE;
}

static enum vcpu_exit post_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct ports *p = dev;
    (void)size;
    p->post[port - PORT_POST] = (uint8_t)value;
    return VCPU_CONTINUE;
}

static enum vcpu_exit delay_read(void *dev, uint16_t port, unsigned size, uint32_t *value)
{
    struct ports *p = dev;
    (void)port, (void)size;
    *value = p->delay;
    return VCPU_CONTINUE;
}

static enum vcpu_exit delay_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct ports *p = dev;
    (void)port, (void)size;
    p->delay = (uint8_t)value;
    return VCPU_CONTINUE;
}

static enum vcpu_exit debug_exit_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct ports *p = dev;
    (void)size;
    if (port != PORT_DEBUG_EXIT)
        return VCPU_CONTINUE;
    p->exited = true;
    p->exit_code = value;
    return VCPU_EXIT_POWER;
}

static enum vcpu_exit mark_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct ports *p = dev;
    if (port != PORT_MARK || size != 4)
        return VCPU_CONTINUE;
    if (p->mark)
        p->mark(p->mark_ctx, value);
    return VCPU_EXIT_MARK;
}

// No keyboard: its controller has nothing to say and is ready for a command, so that nobody waits before a reset.
static enum vcpu_exit kbd_read(void *dev, uint16_t port, unsigned size, uint32_t *value)
{
    (void)dev, (void)port, (void)size;
    *value = 0;
    return VCPU_CONTINUE;
}

static enum vcpu_exit kbd_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    (void)dev, (void)port, (void)size;
    return value == KBD_RESET ? VCPU_EXIT_SHUTDOWN : VCPU_CONTINUE;
}

// No PCI: the configuration ports read as all ones. Among them, as a single byte, is the reset control register.
static enum vcpu_exit pci_read(void *dev, uint16_t port, unsigned size, uint32_t *value)
{
    struct ports *p = dev;
    if (port == PORT_RESET_CONTROL && size == 1)
        *value = p->reset_control;
    return VCPU_CONTINUE;
}

static enum vcpu_exit pci_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct ports *p = dev;
    if (port != PORT_RESET_CONTROL || size != 1)
        return VCPU_CONTINUE;
    bool reset = !(p->reset_control & RESET_CONTROL_CPU) && (value & RESET_CONTROL_CPU);
    p->reset_control = reset ? 0 : (uint8_t)value;
    return reset ? VCPU_EXIT_SHUTDOWN : VCPU_CONTINUE;
}

void ports_init(struct ports *p, void (*mark)(void *ctx, uint32_t value), void *mark_ctx)
{
    *p = (struct ports){.mark = mark, .mark_ctx = mark_ctx};
}

void ports_attach(struct ports *p, struct bus *b)
{
    const struct pio_range ranges[] = {
        {PORT_POST, sizeof(p->post), 1, p, post_read, post_write},
        {PORT_DELAY, 1, 1, p, delay_read, delay_write},
        {PORT_DEBUG_EXIT, 4, 4, p, NULL, debug_exit_write},
        {PORT_MARK, 4, 4, p, NULL, mark_write},
        {PORT_BOCHS_SHUTDOWN, 1, 1, p, NULL, NULL},
        {PORT_KBD_DATA, 1, 1, p, kbd_read, NULL},
        {PORT_KBD_COMMAND, 1, 1, p, kbd_read, kbd_write},
        {PORT_PCI_ADDRESS, 8, 4, p, pci_read, pci_write},
    };
    for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        bus_add_pio(b, &ranges[i]);
}
