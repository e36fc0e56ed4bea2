// SPDX-License-Identifier: BSD-2-Clause
// The serial line's other direction. Without options: nothing comes. With how=poll or how=interrupt (asleep in hlt in
// between) what comes is sent back as it is, up to Ctrl-D, and nothing of it is lost to an overrun; fifo=0: without the
// FIFOs; modem=0: without a word to the modem lines; pause=N: N cycles before each look. Output begins with the line
// "ready" and ends with "over". how=ignore runs for ever and looks at nothing, how=asleep and how=deaf halt with
// interrupts on and off, and the UART may send none.
#include "tests/guest/pc.h"

IMAGE("echo");

#define DATA (PORT_SERIAL + 0)
#define IER (PORT_SERIAL + 1)
#define IIR (PORT_SERIAL + 2) // read; FCR on write
#define FCR (PORT_SERIAL + 2)
#define MCR (PORT_SERIAL + 4)
#define LSR (PORT_SERIAL + 5)
#define IER_RECEIVED 1
#define IIR_NONE 1
#define FCR_ENABLE 1
#define MCR_DTR 1
#define MCR_RTS 2
#define MCR_OUT2 8 // gates the interrupt line on a PC
#define LSR_READY 1
#define LSR_OVERRUN 2
#define CTRL_D 4

static volatile bool over, overrun;
static volatile uint64_t interrupts, empty_interrupts, bytes;

static bool same_word(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static void pause_cycles(uint64_t cycles)
{
    for (uint64_t start = tsc_begin(); tsc_begin() - start < cycles;)
        ;
}

// Sends back what has come, one look at the status for each byte. Returns how many there were.
static unsigned echo(uint64_t pause)
{
    unsigned count = 0;
    for (uint8_t lsr; pause_cycles(pause), !over && (lsr = inb(LSR)) & (LSR_READY | LSR_OVERRUN); count++) {
        char byte = (char)inb(DATA);
        overrun |= (lsr & LSR_OVERRUN) != 0;
        over = byte == CTRL_D;
        bytes++;
        print_bytes(&byte, 1);
    }
    return count;
}

static void on_serial(struct trap_frame *frame)
{
    (void)frame;
    interrupts++;
    empty_interrupts += (inb(IIR) & IIR_NONE) != 0;
    echo(0);
    pic_eoi(IRQ_SERIAL);
}

static void by_interrupt(void)
{
    lapic_enable(0xff);
    pic_init();
    trap_set(IRQ_BASE + IRQ_SERIAL, on_serial);
    pic_unmask(IRQ_SERIAL);
    outb(IER, IER_RECEIVED);
    while (!over)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    outb(IER, 0);
}

static void look_away(const char *how)
{
    if (same_word(how, "deaf"))
        __asm__ volatile("cli; hlt");
    if (same_word(how, "asleep"))
        __asm__ volatile("sti; hlt; cli");
    while (same_word(how, "ignore"))
        ;
}

int image_main(void)
{
    const char *how = option("how");
    bool fifo = option_u64("fifo", 1), modem = option_u64("modem", 1);
    outb(FCR, fifo ? FCR_ENABLE : 0);
    outb(MCR, modem ? MCR_DTR | MCR_RTS | MCR_OUT2 : 0);
    if (!how) {
        CHECK_EQ(inb(LSR) & (LSR_READY | LSR_OVERRUN), 0);
        return 0;
    }
    print("ready\n");
    look_away(how);
    bool asleep = same_word(how, "interrupt");
    if (asleep)
        by_interrupt();
    else
        while (!over)
            echo(option_u64("pause", 0));
    outb(FCR, FCR_ENABLE);
    outb(MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    print("over\n");
    CHECK(!overrun);
    // One of a byte that the handler has read already, as it came while that was at it, finds nothing.
    CHECK(!asleep || (interrupts > 0 && interrupts - empty_interrupts <= bytes));
    return 0;
}
