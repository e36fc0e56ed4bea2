// SPDX-License-Identifier: BSD-2-Clause
// The connection to gdb and the run under it. While the guest is stopped the vCPU's thread reads packets; while it runs
// the watching thread kicks it as soon as a byte comes, which is gdb's Ctrl-C.
#include "run/gdb.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "run/exit_status.h"
#include "run/gdb_session.h"
#include "x86/regs.h"

#define WRITE_SECONDS 10 // so long a debugger may leave what is sent to it unread

struct gdb {
    int listener;   // until somebody has come; -1: none
    int in, out;    // -1: nobody is there
    char path[108]; // of the listening socket, to be removed
    struct watch *watch;
    bool off_breakpoint; // it goes on at a breakpoint: one step first
    const char *end;     // why the run is to end
    enum gdb_input came; // while the guest ran, not handled yet
    size_t have, at;     // bytes of buffer[], and how many of them have been parsed
    size_t frame_length;
    struct sigaction old_sigpipe;
    struct gdb_parser parser;
    struct gdb_session session;
    struct gdb_text reply;
    char frame[GDB_FRAME_MAX]; // the last one sent
    uint8_t buffer[4096];
};

// ---- Listening ----

static bool is_port(const char *where, uint16_t *port)
{
    char *end;
    if (*where < '0' || *where > '9')
        return false;
    unsigned long value = strtoul(where, &end, 10);
    *port = (uint16_t)value;
    return !*end && value <= UINT16_MAX;
}

bool gdb_where_ok(const char *where)
{
    uint16_t port;
    struct sockaddr_un a;
    return !strcmp(where, GDB_STDIO) || is_port(where, &port) ||
           (strchr(where, '/') && strlen(where) < sizeof a.sun_path);
}

static int listen_at(struct gdb *g, const struct sockaddr *address, socklen_t size)
{
    const int yes = 1;
    g->listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (g->listener < 0)
        return -1;
    if (address->sa_family == AF_INET)
        setsockopt(g->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    return bind(g->listener, address, size) || listen(g->listener, 1) ? -1 : 0;
}

// Nobody but this host: whoever can connect can do what the guest can, and more.
static int listen_tcp(struct gdb *g, uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    if (listen_at(g, (const struct sockaddr *)&a, size) || getsockname(g->listener, (struct sockaddr *)&a, &size))
        return -1;
    fprintf(stderr, "ringside: waiting for gdb: target remote 127.0.0.1:%u\n", ntohs(a.sin_port));
    return 0;
}

static int listen_unix(struct gdb *g, const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    if (listen_at(g, (const struct sockaddr *)&a, sizeof a))
        return -1;
    memcpy(g->path, a.sun_path, sizeof g->path);
    fprintf(stderr, "ringside: waiting for gdb: target remote %s\n", path);
    return 0;
}

struct gdb *gdb_open(const char *where, char *err, size_t err_size)
{
    uint16_t port;
    int result = 0;
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct gdb *g = calloc(1, sizeof *g);
    if (!g) {
        snprintf(err, err_size, "no memory for a debugger");
        return NULL;
    }
    g->listener = g->in = g->out = -1;
    sigaction(SIGPIPE, &ignore, &g->old_sigpipe); // a debugger may go away while it is written to
    if (!strcmp(where, GDB_STDIO)) {
        g->in = STDIN_FILENO;
        g->out = STDOUT_FILENO;
    } else {
        result = is_port(where, &port) ? listen_tcp(g, port) : listen_unix(g, where);
    }
    if (result == 0)
        return g;
    snprintf(err, err_size, "cannot wait for gdb at %.80s: %s", where, strerror(errno));
    gdb_close(g, 0);
    return NULL;
}

static void stop_listening(struct gdb *g)
{
    if (g->listener >= 0)
        close(g->listener);
    g->listener = -1;
    if (g->path[0])
        unlink(g->path);
    g->path[0] = '\0';
}

static void no_delay(int fd)
{
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); // of no use, and refused, on a local socket
}

static int take_connection(struct gdb *g, char *err, size_t err_size)
{
    watch_input(g->watch, WATCH_DEBUGGER, g->listener);
    while (g->in < 0) {
        watch_listen(g->watch, WATCH_DEBUGGER);
        watch_wait(g->watch, WATCH_DEBUGGER);
        watch_seen(g->watch);
        if (!watch_heard(g->watch, WATCH_DEBUGGER))
            return 0; // interrupted, or the time is up
        g->in = g->out = accept4(g->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (g->in < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            snprintf(err, err_size, "no connection to gdb: %s", strerror(errno));
            return -1;
        }
    }
    no_delay(g->in);
    return 0;
}

int gdb_accept(struct gdb *g, struct watch *w, struct vcpu *v, char *err, size_t err_size)
{
    g->watch = w;
    if (gdb_session_begin(&g->session, v)) {
        snprintf(err, err_size, "no memory for a debugger");
        return -1;
    }
    if (!v->engine->step || !v->engine->set_breakpoints) {
        snprintf(err, err_size, "engine %s cannot be debugged", v->engine->name);
        return -1;
    }
    if (g->in < 0 && take_connection(g, err, err_size))
        return -1;
    stop_listening(g);
    if (g->in >= 0) {
        fcntl(g->in, F_SETFL, fcntl(g->in, F_GETFL) | O_NONBLOCK);
        fcntl(g->out, F_SETFL, fcntl(g->out, F_GETFL) | O_NONBLOCK);
        watch_input(w, WATCH_DEBUGGER, g->in);
        watch_listen(w, WATCH_DEBUGGER);
    }
    return 0;
}

// ---- Bytes ----

static bool wished(const struct gdb *g)
{
    return watch_interrupted(g->watch) || watch_timed_out(g->watch);
}

static void lost(struct gdb *g)
{
    g->end = "the connection to the debugger is lost";
    g->session.wish = GDB_END;
}

static void write_all(struct gdb *g, const char *bytes, size_t length)
{
    uint64_t until = monotonic_ns() + WRITE_SECONDS * 1000000000ull;
    while (length && g->out >= 0) {
        ssize_t n = write(g->out, bytes, length);
        struct pollfd room = {.fd = g->out, .events = POLLOUT};
        if (n > 0) {
            bytes += n;
            length -= (size_t)n;
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR) || wished(g) || monotonic_ns() > until) {
            lost(g);
            return;
        } else {
            poll(&room, 1, 100);
        }
    }
}

static void send_reply(struct gdb *g)
{
    g->frame_length = gdb_frame(&g->reply, g->frame);
    write_all(g, g->frame, g->frame_length);
}

// A line on the user's console; only while gdb waits for the guest to stop.
static void tell(struct gdb *g, const char *text)
{
    g->reply.length = 0;
    gdb_print(&g->reply, "O");
    gdb_put_hex(&g->reply, text, strlen(text));
    gdb_put_hex(&g->reply, "\n", 1);
    send_reply(g);
}

// More bytes, if there are any. False where there are none now, or never will be (g->end).
static bool more(struct gdb *g)
{
    ssize_t n = read(g->in, g->buffer, sizeof g->buffer);
    g->at = g->have = 0;
    if (n > 0)
        g->have = (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        lost(g);
    return n > 0;
}

// What comes next; GDB_NOTHING where nothing has come yet.
static enum gdb_input next(struct gdb *g)
{
    enum gdb_input came = g->came;
    g->came = GDB_NOTHING;
    while (came == GDB_NOTHING && (g->at < g->have || more(g)))
        came = gdb_parse(&g->parser, g->buffer[g->at++]);
    return came;
}

// ---- While the guest is stopped ----

static void handle(struct gdb *g, enum gdb_input came)
{
    struct gdb_session *s = &g->session;
    if (came == GDB_NAK)
        write_all(g, g->frame, g->frame_length);
    if (came != GDB_PACKET && came != GDB_BAD)
        return;
    if (!s->no_ack)
        write_all(g, came == GDB_PACKET ? "+" : "-", 1);
    if (came == GDB_PACKET && gdb_session_handle(s, g->parser.packet, g->parser.length, &g->reply))
        send_reply(g);
    if (s->wish == GDB_END && !g->end)
        g->end = "ended by the debugger";
}

static void stop(struct gdb *g, enum gdb_signal signal, bool breakpoint)
{
    gdb_session_stopped(&g->session, signal, breakpoint);
    g->reply.length = 0;
    gdb_print(&g->reply, "%s", g->session.stop);
    send_reply(g);
}

static void leave(struct gdb *g)
{
    watch_input(g->watch, WATCH_DEBUGGER, -1);
    if (g->in != STDIN_FILENO)
        close(g->in);
    g->in = g->out = -1;
}

// The client wants the guest to go on: the engine is told what has been changed.
static void resume(struct gdb *g)
{
    struct gdb_session *s = &g->session;
    const struct vcpu_state *state = gdb_session_state(s);
    g->off_breakpoint = s->wish == GDB_GO && state && breakpoint_at(&s->breakpoints, state->rip);
    if (gdb_session_resume(s)) {
        tell(g, s->vcpu->error);
        stop(g, GDB_SIGNAL_ABORT, false);
    }
    if (s->wish == GDB_LEAVE)
        leave(g);
}

// Until the guest is to go on, or the run to end.
static void serve(struct gdb *g)
{
    struct gdb_session *s = &g->session;
    while (s->wish == GDB_STAY && g->in >= 0 && !wished(g)) {
        enum gdb_input came = next(g);
        if (s->wish == GDB_END)
            return;
        if (came != GDB_NOTHING) {
            handle(g, came);
            if (s->wish != GDB_STAY && s->wish != GDB_END)
                resume(g);
            continue;
        }
        watch_listen(g->watch, WATCH_DEBUGGER);
        watch_wait(g->watch, WATCH_DEBUGGER);
        watch_seen(g->watch);
    }
}

// ---- While it runs ----

// Something has come. Whatever it is but an acknowledgement stops the guest; a packet is then answered.
static void hear(struct gdb *g)
{
    enum gdb_input came;
    do
        came = next(g);
    while (came == GDB_ACK);
    if (came == GDB_NAK)
        handle(g, came);
    if (came == GDB_INTERRUPT || came == GDB_PACKET || came == GDB_BAD)
        stop(g, GDB_SIGNAL_INT, false);
    if (came == GDB_PACKET || came == GDB_BAD)
        g->came = came;
    watch_listen(g->watch, WATCH_DEBUGGER);
}

// The guest cannot go on, but can be looked at.
static enum vcpu_exit last_look(struct gdb *g, enum vcpu_exit exit, enum gdb_signal signal, const char *why)
{
    tell(g, why);
    stop(g, signal, false);
    serve(g);
    return exit;
}

static enum vcpu_exit after(struct gdb *g, enum vcpu_exit exit, bool was_halted)
{
    struct gdb_session *s = &g->session;
    bool step = s->wish == GDB_STEP;
    switch (exit) {
    case VCPU_EXIT_BREAKPOINT:
        stop(g, GDB_SIGNAL_TRAP, true);
        return VCPU_EXIT_KICK;
    case VCPU_EXIT_MARK:
        if (step)
            stop(g, GDB_SIGNAL_TRAP, false);
        return exit;
    case VCPU_EXIT_SHUTDOWN:
        return last_look(g, exit, GDB_SIGNAL_SEGV, "the guest shut down (triple fault)");
    case VCPU_EXIT_ERROR:
        return last_look(g, exit, GDB_SIGNAL_ABORT, s->vcpu->error);
    case VCPU_EXIT_HALT: {
        const struct vcpu_state *now = gdb_session_state(s);
        if (now && !(now->rflags & FLAG_IF))
            return last_look(g, exit, GDB_SIGNAL_ABORT, "the guest halted with interrupts off");
        if (step && !was_halted)
            stop(g, GDB_SIGNAL_TRAP, false);
        return step && !was_halted ? VCPU_EXIT_KICK : exit;
    }
    default:
        return exit;
    }
}

// One instruction, because gdb wants that, or to get off a breakpoint.
static enum vcpu_exit step(struct gdb *g)
{
    struct gdb_session *s = &g->session;
    struct vcpu_state *before = gdb_session_state(s);
    if (!before)
        return VCPU_EXIT_ERROR;
    bool halted = before->halted;
    s->have_state = false;
    enum vcpu_exit exit = s->vcpu->engine->step(s->vcpu);
    if (exit == VCPU_EXIT_KICK)
        return exit;
    bool off_breakpoint = g->off_breakpoint;
    g->off_breakpoint = false;
    if (exit != VCPU_EXIT_BUDGET)
        return after(g, exit, halted);
    if (!off_breakpoint)
        stop(g, GDB_SIGNAL_TRAP, false);
    return VCPU_EXIT_KICK;
}

enum vcpu_exit gdb_run(struct gdb *g, uint64_t budget)
{
    struct gdb_session *s = &g->session;
    if (s->wish == GDB_LEAVE)
        return s->vcpu->engine->run(s->vcpu, budget);
    if (s->wish != GDB_STAY && watch_heard(g->watch, WATCH_DEBUGGER))
        hear(g);
    serve(g);
    if (s->wish == GDB_STAY || s->wish == GDB_END)
        return VCPU_EXIT_KICK;
    if (s->wish == GDB_STEP || g->off_breakpoint)
        return step(g);
    enum vcpu_exit exit = s->vcpu->engine->run(s->vcpu, budget);
    return s->wish == GDB_LEAVE ? exit : after(g, exit, false);
}

const char *gdb_wants_end(const struct gdb *g)
{
    return g->session.wish == GDB_END ? g->end : NULL;
}

void gdb_close(struct gdb *g, int status)
{
    if (!g)
        return;
    if (g->out >= 0 && (g->session.wish == GDB_GO || g->session.wish == GDB_STEP)) {
        g->reply.length = 0;
        gdb_print(&g->reply, status >= STATUS_INTERRUPTED || status == STATUS_TIMEOUT ? "X%02x" : "W%02x",
                  status >= STATUS_INTERRUPTED || status == STATUS_TIMEOUT ? GDB_SIGNAL_TERM : (unsigned)status);
        send_reply(g);
    }
    stop_listening(g);
    if (g->in > STDERR_FILENO)
        close(g->in);
    gdb_session_end(&g->session);
    sigaction(SIGPIPE, &g->old_sigpipe, NULL);
    free(g);
}
