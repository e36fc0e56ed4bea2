// SPDX-License-Identifier: BSD-2-Clause
// What the keys after Ctrl-A mean: letters as QEMU has them.
#include "run/escape.h"

#define CTRL(letter) ((letter)&0x1f)

enum escape_key escape_take(struct escape *e, uint8_t key)
{
    if (!e->begun && key == CTRL('a')) {
        e->begun = true;
        return ESCAPE_NONE;
    }
    if (!e->begun)
        return ESCAPE_SEND;
    e->begun = false;
    switch (key) {
    case CTRL('a'):
        return ESCAPE_SEND;
    case 'x':
    case 'X':
    case CTRL('x'):
        return ESCAPE_END;
    case 'h':
    case 'H':
    case '?':
    case CTRL('h'):
        return ESCAPE_SHOW_HELP;
    default: // of no meaning: as if neither had been typed
        return ESCAPE_NONE;
    }
}
