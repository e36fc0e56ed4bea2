// SPDX-License-Identifier: BSD-2-Clause
// Packets of gdb's remote protocol: a state machine for those that come, and the words and frames of both directions.
#include "run/gdb_packet.h"

#include <stdio.h>
#include <string.h>

#define ESCAPE '}'
#define ESCAPE_XOR 0x20
#define INTERRUPT 3

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// ---- Bytes to packets ----

static void begin(struct gdb_parser *p)
{
    p->state = GDB_INSIDE;
    p->sum = 0;
    p->length = 0;
    p->broken = false;
}

static enum gdb_input outside(struct gdb_parser *p, uint8_t byte)
{
    switch (byte) {
    case '$':
        begin(p);
        return GDB_NOTHING;
    case INTERRUPT:
        return GDB_INTERRUPT;
    case '+':
        return GDB_ACK;
    case '-':
        return GDB_NAK;
    default: // what stands between packets is noise
        return GDB_NOTHING;
    }
}

static void add(struct gdb_parser *p, char c)
{
    if (p->length < GDB_PACKET_MAX)
        p->packet[p->length++] = c;
    else
        p->broken = true;
}

static void inside(struct gdb_parser *p, uint8_t byte)
{
    if (byte == '$') { // the end of the last one was lost
        begin(p);
        return;
    }
    if (byte == '#') {
        p->broken = p->broken || p->state == GDB_ESCAPED;
        p->state = GDB_SUM_HIGH;
        return;
    }
    p->sum = (uint8_t)(p->sum + byte);
    if (p->state == GDB_ESCAPED) {
        p->state = GDB_INSIDE;
        add(p, (char)(byte ^ ESCAPE_XOR));
    } else if (byte == ESCAPE) {
        p->state = GDB_ESCAPED;
    } else {
        add(p, (char)byte);
    }
}

static enum gdb_input checksum(struct gdb_parser *p, uint8_t byte)
{
    int value = digit((char)byte);
    p->broken = p->broken || value < 0;
    if (p->state == GDB_SUM_HIGH) {
        p->given = (uint8_t)((unsigned)value << 4);
        p->state = GDB_SUM_LOW;
        return GDB_NOTHING;
    }
    p->state = GDB_OUTSIDE;
    p->packet[p->length] = '\0';
    return p->broken || (p->given | value) != p->sum ? GDB_BAD : GDB_PACKET;
}

enum gdb_input gdb_parse(struct gdb_parser *p, uint8_t byte)
{
    switch (p->state) {
    case GDB_OUTSIDE:
        return outside(p, byte);
    case GDB_INSIDE:
    case GDB_ESCAPED:
        inside(p, byte);
        return GDB_NOTHING;
    default:
        return checksum(p, byte);
    }
}

// ---- Writing ----

void gdb_put(struct gdb_text *t, const void *bytes, size_t length)
{
    if (length > sizeof t->bytes - t->length) {
        t->full = true;
        return;
    }
    memcpy(t->bytes + t->length, bytes, length);
    t->length += length;
}

void gdb_print(struct gdb_text *t, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof line)
        t->full = true;
    else
        gdb_put(t, line, (size_t)length);
}

void gdb_put_hex(struct gdb_text *t, const void *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = ((const uint8_t *)bytes)[i];
        gdb_put(t, (const char[]){digits[byte >> 4], digits[byte & 15]}, 2);
    }
}

size_t gdb_frame(const struct gdb_text *t, char *frame)
{
    char *to = frame;
    uint8_t sum = 0;
    *to++ = '$';
    for (size_t i = 0; i < t->length; i++) {
        char c = t->bytes[i];
        if (c == '$' || c == '#' || c == ESCAPE || c == '*') { // * would repeat the byte before it
            *to++ = ESCAPE;
            sum = (uint8_t)(sum + ESCAPE);
            c ^= ESCAPE_XOR;
        }
        *to++ = c;
        sum = (uint8_t)(sum + (uint8_t)c);
    }
    return (size_t)(to - frame) + (size_t)sprintf(to, "#%02x", sum);
}

// ---- Reading ----

bool gdb_at_end(const struct gdb_words *w)
{
    return w->at == w->end;
}

bool gdb_take(struct gdb_words *w, char c)
{
    if (gdb_at_end(w) || *w->at != c)
        return false;
    w->at++;
    return true;
}

bool gdb_take_word(struct gdb_words *w, const char *word)
{
    size_t length = strlen(word);
    if (length > (size_t)(w->end - w->at) || memcmp(w->at, word, length))
        return false;
    w->at += length;
    return true;
}

bool gdb_take_number(struct gdb_words *w, uint64_t *v)
{
    const char *begin = w->at;
    for (*v = 0; !gdb_at_end(w) && digit(*w->at) >= 0; w->at++) {
        if (*v >> 60)
            return false;
        *v = *v << 4 | (uint64_t)digit(*w->at);
    }
    return w->at > begin;
}

bool gdb_take_hex(struct gdb_words *w, void *bytes, size_t length)
{
    if ((size_t)(w->end - w->at) / 2 < length)
        return false;
    for (size_t i = 0; i < length; i++, w->at += 2) {
        int high = digit(w->at[0]), low = digit(w->at[1]);
        if (high < 0 || low < 0)
            return false;
        ((uint8_t *)bytes)[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool gdb_take_binary(struct gdb_words *w, void *bytes, size_t length)
{
    if ((size_t)(w->end - w->at) != length)
        return false;
    memcpy(bytes, w->at, length);
    w->at = w->end;
    return true;
}
