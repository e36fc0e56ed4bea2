// SPDX-License-Identifier: BSD-2-Clause
// The two cascaded 8259A interrupt controllers of a PC: ISA lines in, one INTR and a vector out.
#ifndef RINGSIDE_MACHINE_PIC_H
#define RINGSIDE_MACHINE_PIC_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/bus.h"

struct pic_chip {
    uint8_t lines;   // levels of the eight inputs
    uint8_t latched; // rising edges that nobody has taken yet
    uint8_t isr, imr;
    uint8_t level;     // ELCR: inputs that are level-triggered
    uint8_t base;      // vector of input 0 (ICW2)
    uint8_t lowest;    // the input of lowest priority; the next one has the highest
    uint8_t icw_next;  // 2 to 4 while an initialisation waits for that word, else 0
    bool needs_icw4;   // ICW1's IC4
    bool single;       // ICW1's SNGL: no ICW3
    bool all_level;    // ICW1's LTIM
    bool auto_eoi;     // ICW4's AEOI
    bool nested;       // ICW4's SFNM
    bool rotate_auto;  // OCW2: rotate on automatic EOI
    bool special_mask; // OCW3's SMM
    bool read_isr;     // OCW3: which register a read gives
    bool poll;         // OCW3's P: the next read is an acknowledge
};

struct pic {
    struct pic_chip chip[2]; // master, slave
    void (*intr)(void *ctx, bool asserted);
    void *ctx;
};

void pic_init(struct pic *p, void (*intr)(void *ctx, bool asserted), void *ctx);
void pic_attach(struct pic *p, struct bus *b);
void pic_set_line(struct pic *p, unsigned line, bool level);
bool pic_masked(const struct pic *p, unsigned line); // whether the line could not interrupt
bool pic_asserted(const struct pic *p);
uint8_t pic_acknowledge(struct pic *p); // the INTA cycle: always gives a vector, a spurious one at worst

#endif
