// SPDX-License-Identifier: BSD-2-Clause
// A 16550A UART (National PC16550D data sheet). Sending takes no time: the transmitter is always empty again when the
// guest looks, so LSR.THRE never drops and the THRE interrupt follows each byte at once.
#include "machine/serial.h"

#include "include/guest_abi.h"

// Registers by offset; DLAB set makes 0 and 1 the divisor latch.
enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

enum { IER_RECEIVED = 1, IER_THRE = 2, IER_LINE = 4, IER_MODEM = 8, IER_ALL = 15 };
enum { IIR_NONE = 1, IIR_MODEM = 0, IIR_THRE = 2, IIR_RECEIVED = 4, IIR_LINE = 6, IIR_TIMEOUT = 12, IIR_FIFO = 0xc0 };
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_CLEAR_TX = 4, FCR_KEPT = 0xc9 };
enum { LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16, MCR_ALL = 31 };
enum { LSR_DATA = 1, LSR_OVERRUN = 2, LSR_THRE = 0x20, LSR_IDLE = 0x40 };
enum { MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80, MSR_DELTA = 15, MSR_DELTA_RI = 4 };

static unsigned trigger_level(const struct serial *s)
{
    static const uint8_t levels[4] = {1, 4, 8, 14};
    return s->fcr & FCR_ENABLE ? levels[s->fcr >> 6] : 1;
}

// The highest of the pending interrupts as IIR names it (data sheet, table 4).
static uint8_t pending(const struct serial *s)
{
    if ((s->ier & IER_LINE) && s->overrun)
        return IIR_LINE;
    if ((s->ier & IER_RECEIVED) && s->rx_count >= trigger_level(s))
        return IIR_RECEIVED;
    if ((s->ier & IER_RECEIVED) && s->rx_count) // below the trigger level: the line has been quiet since
        return IIR_TIMEOUT;
    if ((s->ier & IER_THRE) && s->thre_pending)
        return IIR_THRE;
    if ((s->ier & IER_MODEM) && (s->msr & MSR_DELTA))
        return IIR_MODEM;
    return IIR_NONE;
}

// On a PC, OUT2 gates the interrupt to the bus.
static void update_irq(struct serial *s)
{
    irq_set(&s->irq, IRQ_SERIAL, pending(s) != IIR_NONE && (s->mcr & MCR_OUT2));
}

// The modem lines: our own outputs in loopback, else a peer that is there and ready.
static void update_modem(struct serial *s)
{
    uint8_t now = MSR_CTS | MSR_DSR | MSR_DCD;
    if (s->mcr & MCR_LOOP) {
        now = 0;
        now |= s->mcr & MCR_RTS ? MSR_CTS : 0;
        now |= s->mcr & MCR_DTR ? MSR_DSR : 0;
        now |= s->mcr & MCR_OUT1 ? MSR_RI : 0;
        now |= s->mcr & MCR_OUT2 ? MSR_DCD : 0;
    }
    uint8_t changed = (uint8_t)((s->msr ^ now) >> 4);
    if (now & MSR_RI)
        changed &= (uint8_t)~MSR_DELTA_RI; // only the trailing edge of RI counts
    s->msr = (uint8_t)(now | (s->msr & MSR_DELTA) | changed);
}

void serial_init(struct serial *s, struct irq_out irq, bool (*out)(void *ctx, uint8_t byte), void *out_ctx)
{
    *s = (struct serial){.irq = irq, .out = out, .out_ctx = out_ctx, .dll = 1, .lcr = 3};
    update_modem(s);
    s->msr &= (uint8_t)~MSR_DELTA;
}

void serial_receive(struct serial *s, uint8_t byte)
{
    unsigned room = s->fcr & FCR_ENABLE ? SERIAL_FIFO : 1;
    if (s->rx_count >= room) {
        s->overrun = true;
        if (room == 1) // without FIFO the new byte wins, with it the old ones
            s->rx[s->rx_first] = byte;
    } else {
        s->rx[(s->rx_first + s->rx_count++) % SERIAL_FIFO] = byte;
    }
    update_irq(s);
}

static uint8_t take_received(struct serial *s)
{
    if (!s->rx_count)
        return 0;
    uint8_t byte = s->rx[s->rx_first];
    s->rx_first = (s->rx_first + 1) % SERIAL_FIFO;
    s->rx_count--;
    update_irq(s);
    return byte;
}

static void send(struct serial *s, uint8_t byte)
{
    // The transmitter fills and is empty again: the old interrupt goes, a new edge comes.
    s->thre_pending = false;
    update_irq(s);
    s->thre_pending = true;
    if (s->mcr & MCR_LOOP)
        serial_receive(s, byte);
    else if (s->out && !s->refused)
        s->refused = !s->out(s->out_ctx, byte);
    update_irq(s);
}

static uint8_t read_iir(struct serial *s)
{
    uint8_t iir = pending(s);
    if (iir == IIR_THRE) {
        s->thre_pending = false;
        update_irq(s);
    }
    return iir | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct serial *s)
{
    uint8_t lsr = LSR_THRE | LSR_IDLE | (s->rx_count ? LSR_DATA : 0) | (s->overrun ? LSR_OVERRUN : 0);
    s->overrun = false;
    update_irq(s);
    return lsr;
}

static uint8_t read_msr(struct serial *s)
{
    uint8_t msr = s->msr;
    s->msr &= (uint8_t)~MSR_DELTA;
    update_irq(s);
    return msr;
}

static uint8_t read_reg(struct serial *s, unsigned reg)
{
    switch (reg) {
    case REG_DATA:
        return s->lcr & LCR_DLAB ? s->dll : take_received(s);
    case REG_IER:
        return s->lcr & LCR_DLAB ? s->dlm : s->ier;
    case REG_IIR_FCR:
        return read_iir(s);
    case REG_LCR:
        return s->lcr;
    case REG_MCR:
        return s->mcr;
    case REG_LSR:
        return read_lsr(s);
    case REG_MSR:
        return read_msr(s);
    default:
        return s->scr;
    }
}

static void write_ier(struct serial *s, uint8_t value)
{
    bool thre_enabled = !(s->ier & IER_THRE) && (value & IER_THRE);
    s->ier = value & IER_ALL;
    if (thre_enabled) // the transmitter is empty: enabling the interrupt raises it
        s->thre_pending = true;
    update_irq(s);
}

static void write_fcr(struct serial *s, uint8_t value)
{
    bool toggled = (s->fcr ^ value) & FCR_ENABLE; // switching between the modes empties the FIFOs
    s->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
    if (toggled || (value & FCR_CLEAR_RX))
        s->rx_count = 0;
    update_irq(s);
}

static void write_reg(struct serial *s, unsigned reg, uint8_t value)
{
    switch (reg) {
    case REG_DATA:
        if (s->lcr & LCR_DLAB)
            s->dll = value;
        else
            send(s, value);
        break;
    case REG_IER:
        if (s->lcr & LCR_DLAB)
            s->dlm = value;
        else
            write_ier(s, value);
        break;
    case REG_IIR_FCR:
        write_fcr(s, value);
        break;
    case REG_LCR:
        s->lcr = value;
        break;
    case REG_MCR:
        s->mcr = value & MCR_ALL;
        update_modem(s);
        update_irq(s);
        break;
    case REG_SCR:
        s->scr = value;
        break;
    default: // LSR and MSR are for reading
        break;
    }
}

static enum vcpu_exit serial_read(void *dev, uint16_t port, unsigned size, uint32_t *value)
{
    (void)size;
    *value = read_reg(dev, port - PORT_SERIAL);
    return VCPU_CONTINUE;
}

static enum vcpu_exit serial_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct serial *s = dev;
    (void)size;
    write_reg(s, port - PORT_SERIAL, (uint8_t)value);
    return s->refused ? VCPU_EXIT_POWER : VCPU_CONTINUE;
}

void serial_attach(struct serial *s, struct bus *b)
{
    bus_add_pio(b, &(struct pio_range){PORT_SERIAL, SERIAL_PORTS, 1, s, serial_read, serial_write});
}
