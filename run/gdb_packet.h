// SPDX-License-Identifier: BSD-2-Clause
// The framing of gdb's remote serial protocol: $PAYLOAD#CHECKSUM, escapes, acknowledgements (GDB manual, appendix E,
// "Overview"). Bytes in, packets out; who sends them is not trusted. No I/O here.
#ifndef RINGSIDE_RUN_GDB_PACKET_H
#define RINGSIDE_RUN_GDB_PACKET_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GDB_PACKET_MAX 0x4000u // bytes of a payload, in both directions

enum gdb_input {
    GDB_NOTHING,   // more bytes are needed
    GDB_PACKET,    // parser->packet is one, with a 0 behind it
    GDB_BAD,       // a packet with a wrong checksum, or longer than GDB_PACKET_MAX
    GDB_INTERRUPT, // byte 3 outside of a packet
    GDB_ACK,
    GDB_NAK,
};

struct gdb_parser {
    enum { GDB_OUTSIDE, GDB_INSIDE, GDB_ESCAPED, GDB_SUM_HIGH, GDB_SUM_LOW } state;
    uint8_t sum;   // of the payload as sent
    uint8_t given; // the checksum's first digit
    bool broken;
    size_t length;
    char packet[GDB_PACKET_MAX + 1];
};

enum gdb_input gdb_parse(struct gdb_parser *p, uint8_t byte);

// A payload that is being written. What does not fit sets `full`, and is left out.
struct gdb_text {
    size_t length;
    bool full;
    char bytes[GDB_PACKET_MAX];
};

void gdb_put(struct gdb_text *t, const void *bytes, size_t length);
void gdb_print(struct gdb_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gdb_put_hex(struct gdb_text *t, const void *bytes, size_t length); // two digits a byte

// The frame around a payload; returns its length, which is at most GDB_FRAME_MAX.
#define GDB_FRAME_MAX (2 * GDB_PACKET_MAX + 4)
size_t gdb_frame(const struct gdb_text *t, char *frame);

// What is left of a packet while it is read.
struct gdb_words {
    const char *at, *end;
};

bool gdb_take(struct gdb_words *w, char c);                            // false, and nothing taken, where c is not next
bool gdb_take_word(struct gdb_words *w, const char *word);             // likewise
bool gdb_take_number(struct gdb_words *w, uint64_t *v);                // hexadecimal, at most 64 bits
bool gdb_take_hex(struct gdb_words *w, void *bytes, size_t length);    // exactly that many bytes of two digits
bool gdb_take_binary(struct gdb_words *w, void *bytes, size_t length); // exactly that many, and nothing behind them
bool gdb_at_end(const struct gdb_words *w);

#endif
