// SPDX-License-Identifier: BSD-2-Clause
// Text out through the 16550, polled, and the ways in which an image ends its run.
#include "guest/insn.h"
#include "guest/report.h"
#include "guest/state.h"

// National Semiconductor PC16550D, table II.
#define UART_DATA (PORT_SERIAL + 0) // with DLAB: divisor, low byte
#define UART_IER (PORT_SERIAL + 1)  // with DLAB: divisor, high byte
#define UART_FCR (PORT_SERIAL + 2)  // written
#define UART_IIR (PORT_SERIAL + 2)  // read
#define UART_LCR (PORT_SERIAL + 3)
#define UART_MCR (PORT_SERIAL + 4)
#define UART_LSR (PORT_SERIAL + 5)
#define FCR_ENABLE_AND_CLEAR 0x07
#define IIR_FIFOS_ON 0xc0
#define LCR_8N1 0x03
#define LCR_DLAB 0x80
#define MCR_DTR_RTS_OUT2 0x0b
#define LSR_THRE 0x20
#define LSR_TEMT 0x40
#define DIVISOR_115200 1
#define FIFO_BYTES 16
#define EXIT_PANIC 2

void console_init(void)
{
    outb(UART_IER, 0);
    outb(UART_LCR, LCR_DLAB | LCR_8N1);
    outb(UART_DATA, DIVISOR_115200);
    outb(UART_IER, 0);
    outb(UART_LCR, LCR_8N1);
    outb(UART_FCR, FCR_ENABLE_AND_CLEAR);
    outb(UART_MCR, MCR_DTR_RTS_OUT2);
    guest.serial_fifo = (inb(UART_IIR) & IIR_FIFOS_ON) == IIR_FIFOS_ON;
}

// One look at the status for as many bytes as the UART then takes: each port access may be an exit.
static void put_char(char c)
{
    if (!guest.serial_room) {
        while (!(inb(UART_LSR) & LSR_THRE))
            ;
        guest.serial_room = guest.serial_fifo ? FIFO_BYTES : 1;
    }
    guest.serial_room--;
    outb(UART_DATA, (uint8_t)c);
}

void print_bytes(const char *bytes, size_t size)
{
    while (size--)
        put_char(*bytes++);
}

void print(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    format_text(put_char, format, &args);
    va_end(args);
}

void console_flush(void)
{
    while (!(inb(UART_LSR) & LSR_TEMT))
        ;
}

_Noreturn void image_exit(int status)
{
    if (image_records)
        print(RS1_PREFIX "end name=%s status=%d\n", image_name, status);
    power_off(status);
}

// Ringside and QEMU leave at the debug-exit port, Bochs at its own; a PC stays in the loop.
_Noreturn void power_off(int status)
{
    console_flush();
    outb(PORT_DEBUG_EXIT, (uint8_t)status);
    for (const char *word = "Shutdown"; *word; word++)
        outb(PORT_BOCHS_SHUTDOWN, (uint8_t)*word);
    for (;;) {
        cli();
        hlt();
    }
}

_Noreturn void panic(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print("%s: panic: ", image_name);
    format_text(put_char, format, &args);
    print("\n");
    va_end(args);
    image_exit(EXIT_PANIC);
}
