// SPDX-License-Identifier: BSD-2-Clause
// The ports that are hardly devices: POST code, debug exit, measuring mark, resets.
#ifndef RINGSIDE_MACHINE_PORTS_H
#define RINGSIDE_MACHINE_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/bus.h"

struct ports {
    uint8_t post[16]; // 0x80-0x8f, the DMA page registers: plain latches, POST code first
    uint8_t delay;    // 0xed, likewise
    uint8_t reset_control;

    bool exited;
    uint32_t exit_code;

    void (*mark)(void *ctx, uint32_t value); // NULL: marks only end run()
    void *mark_ctx;
};

void ports_init(struct ports *p, void (*mark)(void *ctx, uint32_t value), void *mark_ctx);
void ports_attach(struct ports *p, struct bus *b);

#endif
