// SPDX-License-Identifier: BSD-2-Clause
// QEMU's firmware configuration port, for guests that ask it how much RAM and how many processors there are
// (docs/specs/fw_cfg in QEMU's documentation): a selector of 16 bits at 0x510, its bytes one by one at 0x511.
#ifndef RINGSIDE_MACHINE_FWCFG_H
#define RINGSIDE_MACHINE_FWCFG_H

#include "machine/bus.h"

struct fwcfg {
    uint64_t ram_bytes;
    uint16_t selector;
    unsigned offset; // of the next byte
};

void fwcfg_init(struct fwcfg *f, uint64_t ram_bytes);
void fwcfg_attach(struct fwcfg *f, struct bus *b);

#endif
