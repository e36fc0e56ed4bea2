// SPDX-License-Identifier: BSD-2-Clause
// A 16550A UART (National PC16550D data sheet). Sending takes no time: the transmitter is always empty again when the
// guest looks, so LSR.THRE never drops and the THRE interrupt follows each byte at once.
//
// What is received waits at the other end of the line until there is room, with RTS as the handshake of a modem or
// terminal (EIA-232): a driver raises it once all else is set up. So input that was there before the guest's driver is
// not lost to the driver's clearing of the FIFO, as it would be on a line without handshake.
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
enum { POLLS = 16 }; // so often a guest looks at LSR in a row only if it waits for a byte
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

void serial_init(struct serial *s, struct machine_clock *clock, struct irq_out irq, struct serial_line line)
{
    *s = (struct serial){.clock = clock, .irq = irq, .line = line, .dll = 1, .lcr = 3};
    update_modem(s);
    s->msr &= (uint8_t)~MSR_DELTA;
}

static unsigned capacity(const struct serial *s)
{
    return s->fcr & FCR_ENABLE ? SERIAL_FIFO : 1;
}

void serial_receive(struct serial *s, uint8_t byte)
{
    unsigned room = capacity(s);
    if (s->rx_count >= room) {
        s->overrun = true;
        if (room == 1) // without FIFO the new byte wins, with it the old ones
            s->rx[s->rx_first] = byte;
    } else {
        s->rx[(s->rx_first + s->rx_count++) % SERIAL_FIFO] = byte;
    }
    update_irq(s);
}

static bool listens(const struct serial *s)
{
    return !(s->mcr & MCR_LOOP) && ((s->mcr & MCR_RTS) || s->polls >= POLLS);
}

unsigned serial_room(const struct serial *s)
{
    return listens(s) && !s->rx_count ? capacity(s) : 0;
}

void serial_input(struct serial *s)
{
    s->waiting = s->line.in && !s->ended;
}

void serial_tick(struct serial *s, uint64_t now)
{
    unsigned room = serial_room(s), count = 0;
    if (!s->waiting || now < s->quiet_to)
        return;
    while (s->waiting && count < room) {
        int byte = s->line.in(s->line.ctx);
        s->waiting = byte >= 0;
        s->ended = byte == SERIAL_END;
        if (byte >= 0)
            count++, serial_receive(s, (uint8_t)byte);
    }
    if (count)
        s->burst = count;
}

uint64_t serial_deadline(const struct serial *s)
{
    return s->waiting && serial_room(s) ? s->quiet_to : NEVER;
}

bool serial_can_interrupt(const struct serial *s)
{
    return s->line.in && !s->ended && listens(s) && (s->ier & IER_RECEIVED) && (s->mcr & MCR_OUT2);
}

// The receiver has become empty: the pause before the next bytes begins.
static void emptied(struct serial *s)
{
    s->rx_count = 0;
    if (s->line.in)
        s->quiet_to = clock_now(s->clock) + s->burst * SERIAL_BYTE_NS;
}

static uint8_t take_received(struct serial *s)
{
    if (!s->rx_count)
        return 0;
    uint8_t byte = s->rx[s->rx_first];
    s->rx_first = (s->rx_first + 1) % SERIAL_FIFO;
    if (!--s->rx_count)
        emptied(s);
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
    else if (s->line.out && !s->refused)
        s->refused = !s->line.out(s->line.ctx, byte);
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
    s->polls += s->polls < POLLS;
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
    if (s->rx_count && (toggled || (value & FCR_CLEAR_RX)))
        emptied(s);
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
    struct serial *s = dev;
    (void)size;
    *value = read_reg(s, port - PORT_SERIAL);
    s->clock->moved |= s->waiting; // there may be room now
    return VCPU_CONTINUE;
}

static enum vcpu_exit serial_write(void *dev, uint16_t port, unsigned size, uint32_t value)
{
    struct serial *s = dev;
    (void)size;
    s->polls = 0;
    write_reg(s, port - PORT_SERIAL, (uint8_t)value);
    s->clock->moved |= s->waiting;
    return s->refused ? VCPU_EXIT_POWER : VCPU_CONTINUE;
}

void serial_attach(struct serial *s, struct bus *b)
{
    bus_add_pio(b, &(struct pio_range){PORT_SERIAL, SERIAL_PORTS, 1, s, serial_read, serial_write});
}
