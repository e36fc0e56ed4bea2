// SPDX-License-Identifier: BSD-2-Clause
// The packets of gdb's remote protocol (GDB manual, appendix E, "Packets", "General Query Packets"), one function each,
// by the table at the end.
#include "run/gdb_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/gdb_registers.h"
#include "run/guest_memory.h"

// Errors as the client prints them: numbers of errno.
#define ERROR_MEMORY "E0e" // EFAULT
#define ERROR_BAD "E16"    // EINVAL
#define ERROR_FULL "E1c"   // ENOSPC
#define ERROR_ENGINE "E05" // EIO
#define COMMAND_MAX 256    // bytes of `monitor COMMAND`

// A handler reads the words behind its packet's name, and writes the reply. False: there is none now.
typedef bool handle_fn(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply);

static bool say(struct gdb_text *reply, const char *text)
{
    gdb_print(reply, "%s", text);
    return true;
}

struct vcpu_state *gdb_session_state(struct gdb_session *s)
{
    if (!s->have_state)
        s->have_state = s->vcpu->engine->get_state(s->vcpu, &s->state) == 0;
    return s->have_state ? &s->state : NULL;
}

// ---- Registers ----

static bool put_register(struct gdb_session *s, unsigned n, struct gdb_text *reply)
{
    uint8_t bytes[GDB_REGISTER_BYTES];
    const struct vcpu_state *state = gdb_session_state(s);
    if (!state)
        return false;
    gdb_register_get(state, n, bytes);
    gdb_put_hex(reply, bytes, gdb_register_size(n));
    return true;
}

static bool get_registers(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    (void)w;
    for (unsigned n = 0; n < gdb_register_count; n++)
        if (!put_register(s, n, reply))
            return say(reply, ERROR_ENGINE);
    return true;
}

static bool get_register(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    uint64_t n;
    if (!gdb_take_number(w, &n) || n >= gdb_register_count)
        return say(reply, ERROR_BAD);
    return put_register(s, (unsigned)n, reply) || say(reply, ERROR_ENGINE);
}

// All of them: those that cannot be written stay what they are.
static bool set_registers(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    struct vcpu_state *state = gdb_session_state(s);
    if (!state)
        return say(reply, ERROR_ENGINE);
    for (unsigned n = 0; n < gdb_register_count; n++) {
        uint8_t bytes[GDB_REGISTER_BYTES] = {0};
        if (!gdb_take_hex(w, bytes, gdb_register_size(n)))
            return say(reply, ERROR_BAD);
        gdb_register_set(state, n, bytes);
        s->changed_state = true;
    }
    return say(reply, "OK");
}

static bool set_register(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    uint64_t n;
    uint8_t bytes[GDB_REGISTER_BYTES] = {0};
    struct vcpu_state *state = gdb_session_state(s);
    if (!state)
        return say(reply, ERROR_ENGINE);
    if (!gdb_take_number(w, &n) || n >= gdb_register_count || !gdb_take(w, '=') ||
        !gdb_take_hex(w, bytes, gdb_register_size((unsigned)n)) || !gdb_register_set(state, (unsigned)n, bytes))
        return say(reply, ERROR_BAD);
    s->changed_state = true;
    return say(reply, "OK");
}

// ---- Memory ----

static bool take_range(struct gdb_words *w, uint64_t *address, uint64_t *length)
{
    return gdb_take_number(w, address) && gdb_take(w, ',') && gdb_take_number(w, length) &&
           *length <= GDB_PACKET_MAX / 2;
}

static bool read_memory(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    uint8_t bytes[GDB_PACKET_MAX / 2];
    uint64_t address, length;
    const struct vcpu_state *state = gdb_session_state(s);
    if (!take_range(w, &address, &length))
        return say(reply, ERROR_BAD);
    size_t got = state ? guest_read(s->vcpu->ram, state, address, bytes, length) : 0;
    if (!got && length)
        return say(reply, ERROR_MEMORY);
    gdb_put_hex(reply, bytes, got);
    return true;
}

static bool write_memory(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply,
                         bool take(struct gdb_words *w, void *bytes, size_t length))
{
    uint8_t bytes[GDB_PACKET_MAX / 2];
    uint64_t address, length;
    const struct vcpu_state *state = gdb_session_state(s);
    if (!take_range(w, &address, &length) || !gdb_take(w, ':') || !take(w, bytes, length))
        return say(reply, ERROR_BAD);
    if (!state || guest_write(s->vcpu->ram, state, address, bytes, length))
        return say(reply, ERROR_MEMORY);
    s->changed_state = s->changed_state || length; // engines have to look at code and tables again
    return say(reply, "OK");
}

static bool write_hex(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    return write_memory(s, w, reply, gdb_take_hex);
}

static bool write_binary(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    return write_memory(s, w, reply, gdb_take_binary);
}

// ---- Breakpoints: software and hardware ones are the same, as none is in guest memory ----

// TYPE,ADDRESS,KIND, of which the kind says nothing here.
static bool take_breakpoint(struct gdb_words *w, uint64_t *address)
{
    uint64_t kind;
    return gdb_take(w, ',') && gdb_take_number(w, address) && gdb_take(w, ',') && gdb_take_number(w, &kind);
}

static bool insert_breakpoint(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    struct breakpoints *b = &s->breakpoints;
    uint64_t address;
    if (!take_breakpoint(w, &address))
        return say(reply, ERROR_BAD);
    if (breakpoint_at(b, address))
        return say(reply, "OK");
    if (b->count == s->vcpu->engine->breakpoints_max || b->count == BREAKPOINTS_MAX)
        return say(reply, ERROR_FULL);
    b->at[b->count++] = address;
    s->changed_breakpoints = true;
    return say(reply, "OK");
}

static bool remove_breakpoint(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    struct breakpoints *b = &s->breakpoints;
    uint64_t address;
    if (!take_breakpoint(w, &address))
        return say(reply, ERROR_BAD);
    for (unsigned i = 0; i < b->count; i++) {
        if (b->at[i] != address)
            continue;
        b->at[i] = b->at[--b->count];
        s->changed_breakpoints = true;
        break;
    }
    return say(reply, "OK");
}

// ---- Going on ----

static bool go(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply, enum gdb_wish wish)
{
    uint64_t address;
    struct vcpu_state *state = gdb_session_state(s);
    if (!state)
        return say(reply, ERROR_ENGINE);
    if (!gdb_at_end(w)) {
        if (!gdb_take_number(w, &address) || (int64_t)(address << 16) >> 16 != (int64_t)address)
            return say(reply, ERROR_BAD);
        state->rip = address;
        s->changed_state = true;
    }
    s->wish = wish;
    return false;
}

static bool go_on(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    return go(s, w, reply, GDB_GO);
}

static bool step(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    return go(s, w, reply, GDB_STEP);
}

// SIGNAL[;ADDRESS]: the guest has no signals that could be given to it.
static bool go_with_signal(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply, enum gdb_wish wish)
{
    uint64_t signal;
    if (!gdb_take_number(w, &signal) || (!gdb_at_end(w) && !gdb_take(w, ';')))
        return say(reply, ERROR_BAD);
    return go(s, w, reply, wish);
}

static bool go_on_signal(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    return go_with_signal(s, w, reply, GDB_GO);
}

static bool step_signal(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    return go_with_signal(s, w, reply, GDB_STEP);
}

// Of the actions for each thread the first is ours, as there is one.
static bool go_threads(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    struct gdb_words none = {w->end, w->end};
    if (!gdb_take(w, ';'))
        return say(reply, ERROR_BAD);
    if (gdb_take(w, 'c') || gdb_take(w, 'C'))
        return go(s, &none, reply, GDB_GO);
    if (gdb_take(w, 's') || gdb_take(w, 'S'))
        return go(s, &none, reply, GDB_STEP);
    return say(reply, ERROR_BAD);
}

static bool actions(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    (void)s, (void)w;
    return say(reply, "vCont;c;C;s;S");
}

static bool detach(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    (void)w;
    s->wish = GDB_LEAVE;
    s->changed_breakpoints = s->changed_breakpoints || s->breakpoints.count;
    s->breakpoints.count = 0;
    return say(reply, "OK");
}

static bool end(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    (void)w, (void)reply;
    s->wish = GDB_END;
    return false;
}

static bool end_politely(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    end(s, w, reply);
    return say(reply, "OK");
}

// ---- Queries ----

static bool why_stopped(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    (void)w;
    return say(reply, s->stop);
}

static bool has_word(const struct gdb_words *w, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = w->at; at + length <= w->end; at++)
        if (!memcmp(at, word, length))
            return true;
    return false;
}

static bool supported(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    s->knows_swbreak = has_word(w, "swbreak+");
    gdb_print(reply, "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;vContSupported+;swbreak+;hwbreak+",
              GDB_PACKET_MAX);
    return true;
}

static bool read_description(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    uint64_t offset, length;
    size_t size = strlen(s->description);
    if (!gdb_take_number(w, &offset) || !gdb_take(w, ',') || !gdb_take_number(w, &length) || offset > size)
        return say(reply, ERROR_BAD);
    if (length > GDB_PACKET_MAX / 2)
        length = GDB_PACKET_MAX / 2;
    bool last = length >= size - offset;
    say(reply, last ? "l" : "m");
    gdb_put(reply, s->description + offset, last ? size - offset : length);
    return true;
}

static bool no_ack(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    (void)w;
    s->no_ack = true;
    return say(reply, "OK");
}

static bool command(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    char line[COMMAND_MAX + 1] = "";
    struct gdb_text out = {0};
    size_t length = (size_t)(w->end - w->at) / 2;
    if (length > COMMAND_MAX || !gdb_take_hex(w, line, length) || !gdb_at_end(w))
        return say(reply, ERROR_BAD);
    gdb_monitor(s, line, &out);
    if (out.length > GDB_PACKET_MAX / 2)
        out.length = GDB_PACKET_MAX / 2;
    gdb_put_hex(reply, out.bytes, out.length);
    return true;
}

// One vCPU is one thread, number 1.
static bool fine(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    (void)s, (void)w;
    return say(reply, "OK");
}

static bool current_thread(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    (void)s, (void)w;
    return say(reply, "QC1");
}

static bool first_threads(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    (void)s, (void)w;
    return say(reply, "m1");
}

static bool more_threads(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    (void)s, (void)w;
    return say(reply, "l");
}

static bool describe_thread(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    char text[64];
    (void)w;
    snprintf(text, sizeof text, "vCPU 0 on %s", s->vcpu->engine->name);
    gdb_put_hex(reply, text, strlen(text));
    return true;
}

// The guest was there before the debugger: one that leaves lets it go on.
static bool attached(struct gdb_session *s, struct gdb_words *w, struct gdb_text *reply)
{
    (void)s, (void)w;
    return say(reply, "1");
}

// ---- The table ----

// A packet goes to the first row that it begins with; `whole`: that it is. Longer names come before their beginnings.
static const struct {
    const char *name;
    handle_fn *handle;
    bool whole;
} packets[] = {
    {"?", why_stopped, true},
    {"g", get_registers, true},
    {"G", set_registers, false},
    {"p", get_register, false},
    {"P", set_register, false},
    {"m", read_memory, false},
    {"M", write_hex, false},
    {"X", write_binary, false},
    {"c", go_on, false},
    {"s", step, false},
    {"C", go_on_signal, false},
    {"S", step_signal, false},
    {"vCont?", actions, true},
    {"vCont", go_threads, false},
    {"vKill", end_politely, false},
    {"Z0", insert_breakpoint, false},
    {"Z1", insert_breakpoint, false},
    {"z0", remove_breakpoint, false},
    {"z1", remove_breakpoint, false},
    {"D", detach, false},
    {"k", end, false},
    {"H", fine, false},
    {"T", fine, false},
    {"QStartNoAckMode", no_ack, true},
    {"qSupported", supported, false},
    {"qXfer:features:read:target.xml:", read_description, false},
    {"qRcmd,", command, false},
    {"qAttached", attached, false},
    {"qfThreadInfo", first_threads, true},
    {"qsThreadInfo", more_threads, true},
    {"qThreadExtraInfo,", describe_thread, false},
    {"qC", current_thread, true},
};

bool gdb_session_handle(struct gdb_session *s, const char *packet, size_t length, struct gdb_text *reply)
{
    reply->length = 0;
    reply->full = false;
    for (size_t i = 0; i < sizeof packets / sizeof *packets; i++) {
        struct gdb_words w = {packet, packet + length};
        if (!gdb_take_word(&w, packets[i].name) || (packets[i].whole && !gdb_at_end(&w)))
            continue;
        bool replies = packets[i].handle(s, &w, reply);
        if (reply->full) {
            reply->length = 0;
            reply->full = false;
            say(reply, ERROR_FULL);
        }
        return replies;
    }
    return true;
}

// ---- Beginning, going on, end ----

int gdb_session_begin(struct gdb_session *s, struct vcpu *v)
{
    memset(s, 0, sizeof *s);
    s->vcpu = v;
    s->description = gdb_target_description();
    gdb_session_stopped(s, GDB_SIGNAL_TRAP, false);
    return s->description ? 0 : -1;
}

void gdb_session_end(struct gdb_session *s)
{
    free(s->description);
    s->description = NULL;
}

void gdb_session_stopped(struct gdb_session *s, enum gdb_signal signal, bool breakpoint)
{
    s->have_state = false;
    s->wish = GDB_STAY;
    snprintf(s->stop, sizeof s->stop, "T%02xthread:1;%s", (unsigned)signal,
             breakpoint && s->knows_swbreak ? "swbreak:;" : "");
}

int gdb_session_resume(struct gdb_session *s)
{
    const struct engine *engine = s->vcpu->engine;
    if (s->changed_state && s->have_state && engine->set_state(s->vcpu, &s->state))
        return -1;
    s->changed_state = s->have_state = false;
    if (s->changed_breakpoints && engine->set_breakpoints(s->vcpu, &s->breakpoints))
        return -1;
    s->changed_breakpoints = false;
    return 0;
}
