// SPDX-License-Identifier: BSD-2-Clause
// The process that has the terminal: a poll over keys and signals.
#include "run/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "run/escape.h"

#define TYPED_AHEAD (1 << 20) // bytes that wait for the monitor; as much as a pipe may hold without privileges

struct terminal {
    struct termios saved, raw;
    sigset_t old_mask;
    int signals; // signalfd
    int keys;    // the pipe; -1: nobody types any more
    pid_t monitor;
    unsigned asked; // to end
    struct escape escape;
};

// ---- The terminal's settings ----

// As cfmakeraw(), but output goes on as it is: what guests send as "\n" begins a line.
static void make_raw(struct termios *t)
{
    tcflag_t output = t->c_oflag;
    cfmakeraw(t);
    t->c_oflag = output;
    t->c_cc[VMIN] = 1;
    t->c_cc[VTIME] = 0;
}

// Where somebody else is in front of this terminal now, the settings are theirs, and setting them would stop us.
static void set(const struct termios *settings)
{
    pid_t front = tcgetpgrp(STDIN_FILENO);
    if (front < 0 || front == getpgrp()) // < 0: it is not what controls this process, and there is no front
        tcsetattr(STDIN_FILENO, TCSANOW, settings);
}

// ---- Keys ----

// What the pipe has no room for is lost: keys are read on for the sake of the escape key. Where nobody reads the pipe
// any more, SIGCHLD is on its way.
static void hand_on(struct terminal *t, const uint8_t *bytes, size_t count)
{
    ssize_t written = count ? write(t->keys, bytes, count) : 0;
    (void)written;
}

static void end_monitor(struct terminal *t)
{
    kill(t->monitor, t->asked++ ? SIGKILL : SIGTERM);
}

static void take_keys(struct terminal *t)
{
    uint8_t typed[4096], bytes[sizeof typed];
    size_t count = 0;
    ssize_t n = read(STDIN_FILENO, typed, sizeof typed);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    for (ssize_t i = 0; i < n; i++) {
        enum escape_key key = escape_take(&t->escape, typed[i]);
        if (key == ESCAPE_SEND)
            bytes[count++] = typed[i];
        else if (key == ESCAPE_END)
            end_monitor(t);
        else if (key == ESCAPE_SHOW_HELP)
            fputs("\n" ESCAPE_HELP, stderr);
    }
    hand_on(t, bytes, count);
    if (n <= 0) { // the terminal is gone
        close(t->keys);
        t->keys = -1;
    }
}

// ---- Signals ----

static void watched_signals(sigset_t *set)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCONT, SIGCHLD};
    sigemptyset(set);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(set, numbers[i]);
}

// True where the monitor has ended, with its wait status.
static bool take_signal(struct terminal *t, int *ended)
{
    struct signalfd_siginfo signal;
    if (read(t->signals, &signal, sizeof signal) != sizeof signal)
        return false;
    if (signal.ssi_signo == SIGCHLD)
        return waitpid(t->monitor, ended, WNOHANG) == t->monitor;
    if (signal.ssi_signo == SIGCONT)
        set(&t->raw); // a shell has had the terminal meanwhile
    else
        kill(t->monitor, (int)signal.ssi_signo);
    return false;
}

// ---- The two processes ----

static int serve(struct terminal *t)
{
    int ended = 0;
    for (bool over = false; !over;) {
        struct pollfd polled[] = {{.fd = t->signals, .events = POLLIN},
                                  {.fd = t->keys >= 0 ? STDIN_FILENO : -1, .events = POLLIN}};
        if (poll(polled, 2, -1) < 0)
            continue;
        if (polled[1].revents)
            take_keys(t);
        if (polled[0].revents)
            over = take_signal(t, &ended);
    }
    return ended;
}

// Dies as the monitor did, for whoever looks at how this process ended; the core dump is the monitor's.
static void die_by(int number)
{
    const struct rlimit none = {0, 0};
    sigset_t one;
    setrlimit(RLIMIT_CORE, &none);
    signal(number, SIG_DFL);
    raise(number);
    sigemptyset(&one);
    sigaddset(&one, number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
}

static enum exit_status status_of(const struct terminal *t, int ended, char *err, size_t err_size)
{
    if (WIFEXITED(ended))
        return (enum exit_status)WEXITSTATUS(ended);
    if (t->asked < 2)
        die_by(WTERMSIG(ended));
    snprintf(err, err_size, "killed");
    return STATUS_INTERRUPTED;
}

// It ends with its parent: nobody would be there to speak to it.
static bool become_monitor(struct terminal *t, const int keys[2], pid_t parent)
{
    close(t->signals);
    bool ready = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && dup2(keys[0], STDIN_FILENO) >= 0;
    close(keys[0]);
    close(keys[1]);
    sigprocmask(SIG_SETMASK, &t->old_mask, NULL);
    return ready;
}

static int prepare(struct terminal *t, int keys[2])
{
    sigset_t signals;
    watched_signals(&signals);
    if (tcgetattr(STDIN_FILENO, &t->saved) || pipe2(keys, O_CLOEXEC))
        return -1;
    fcntl(keys[1], F_SETFL, O_NONBLOCK);
    fcntl(keys[1], F_SETPIPE_SZ, TYPED_AHEAD); // else it holds less
    t->keys = keys[1];
    t->raw = t->saved;
    make_raw(&t->raw);
    t->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return t->signals < 0 ? -1 : sigprocmask(SIG_BLOCK, &signals, &t->old_mask);
}

bool terminal_split(enum exit_status *status, char *err, size_t err_size)
{
    struct terminal t = {0};
    int keys[2];
    pid_t parent = getpid();
    *status = STATUS_UNAVAILABLE;
    if (!isatty(STDIN_FILENO)) {
        snprintf(err, err_size, "--input=tty: standard input is no terminal; --input=- takes it as it is");
        return false;
    }
    fflush(NULL); // or both would write what is in the buffers
    if (prepare(&t, keys) == 0) {
        tcsetattr(STDIN_FILENO, TCSANOW, &t.raw); // in the background this stops us until we are in front
        t.monitor = fork();
        if (t.monitor == 0)
            return become_monitor(&t, keys, parent);
        if (t.monitor > 0) {
            close(keys[0]);
            signal(SIGPIPE, SIG_IGN);
            fputs("ringside: Ctrl-A x ends the run, Ctrl-A h lists the keys\n", stderr);
            int ended = serve(&t);
            set(&t.saved);
            *status = status_of(&t, ended, err, err_size);
            return false;
        }
        set(&t.saved);
    }
    snprintf(err, err_size, "--input=tty: %s", strerror(errno));
    return false;
}
