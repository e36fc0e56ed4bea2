// SPDX-License-Identifier: BSD-2-Clause
// Worker processes, each with an engine and a judge of its own, and the process that watches them: it outlives whatever
// a case does to an engine.
#include "tests/cpu/run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// A worker's case may take as long as the judge's (judge_client.c), as bt runs it on the same CPU.
enum { SHOWN = 20, HANG_CPU_SECONDS = 120, HANG_SECONDS = 1200, TICK_US = 200000, NOT_HERE = 77 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// ---- A worker ----

struct finder {
    const struct run *run;
    unsigned shown;
};

// A case that the judge's process did not survive, as it is: what it does when it is run once more says whether it was
// the case.
static void say_lost_judge(const struct finder *f, struct tester *t, uint64_t number, const struct test_case *c,
                           enum verdict_kind kind)
{
    char what[CASE_TEXT], line[CASE_TEXT], text[3 * CASE_TEXT];
    struct verdict v = tester_try(t, c, false);
    verdict_print(&v, c, t->subject->name, what);
    case_print(c, line);
    int n =
        snprintf(text, sizeof text, "LEFT OUT: %s seed %" PRIu64 " case %" PRIu64 ": %s; once more: %s: %s\n  %s\n",
                 t->subject->name, f->run->plan.seed, number, verdict_names[kind], verdict_names[v.kind], what, line);
    (void)!write(STDOUT_FILENO, text, (size_t)n);
}

static void found(void *ctx, struct tester *t, uint64_t number, const struct test_case *c, enum verdict_kind kind)
{
    struct finder *f = ctx;
    struct test_case small = *c;
    char what[CASE_TEXT], line[CASE_TEXT], text[3 * CASE_TEXT];
    if (f->shown++ >= SHOWN)
        return;
    if (kind != DIFFERENT) {
        say_lost_judge(f, t, number, c, kind);
        return;
    }
    minimise(t, &small);
    struct verdict v = tester_try(t, &small, false);
    if (v.kind != DIFFERENT) { // with what ran before it only
        small = *c;
        v = tester_try(t, &small, false);
    }
    verdict_print(&v, &small, t->subject->name, what);
    case_print(&small, line);
    int n = snprintf(text, sizeof text, "DIFFERS: %s seed %" PRIu64 " case %" PRIu64 "%s: %s\n  %s\n", t->subject->name,
                     f->run->plan.seed, number, v.kind == DIFFERENT ? "" : " (not when it is run again)", what, line);
    (void)!write(STDOUT_FILENO, text, (size_t)n);
}

static _Noreturn void work(const struct run *r, unsigned worker, uint64_t first, uint64_t end)
{
    static struct tester tester;
    struct finder finder = {r, 0};
    char err[200];
    signal(SIGINT, SIG_IGN); // the watcher says when to stop; the judge inherits it
    if (!tester_start(&tester, r->subject, &r->totals[worker], err, sizeof err)) {
        fprintf(stderr, "check_cpu: %s: %s\n", r->subject->name, err);
        _exit(NOT_HERE);
    }
    bool ok = tester_run(&tester, &r->plan, first, end - first, found, &finder);
    tester_stop(&tester);
    _exit(ok ? 0 : 1);
}

// ---- The watcher ----

struct worker {
    pid_t pid; // 0: done
    uint64_t end;
    uint64_t seen; // case that it was last seen at
    double since, cpu_since;
};

static volatile sig_atomic_t interrupts;

static void on_interrupt(int number)
{
    (void)number;
    interrupts = interrupts + 1;
}

// What the process has had of a CPU: on a loaded machine a case may wait long for its turn.
static double cpu_seconds(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return 0;
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void start_worker(const struct run *r, struct worker *w, unsigned i, uint64_t first)
{
    r->totals[i].number = first;
    w->pid = 0;
    if (first >= w->end)
        return;
    fflush(stdout);
    w->pid = fork();
    if (w->pid == 0)
        work(r, i, first, w->end);
    w->seen = first;
    w->since = now();
    w->cpu_since = 0;
}

static void say_lost(const struct run *r, const char *how, int signal_number, uint64_t number)
{
    printf("%s: %s seed %" PRIu64 " case %" PRIu64 "%s%s\n", how, r->subject->name, r->plan.seed, number,
           signal_number ? ", " : "", signal_number ? strsignal(signal_number) : "");
}

// A worker that has ended before its time is started again behind the case that it was at.
static bool look_after(struct run *r, struct worker *w, unsigned i)
{
    int status;
    uint64_t at = r->totals[i].number;
    if (at != w->seen)
        w->seen = at, w->since = now(), w->cpu_since = cpu_seconds(w->pid);
    bool hung = now() - w->since > HANG_SECONDS || cpu_seconds(w->pid) - w->cpu_since > HANG_CPU_SECONDS;
    if (hung)
        kill(w->pid, SIGKILL);
    if (waitpid(w->pid, &status, hung ? 0 : WNOHANG) != w->pid)
        return true;
    w->pid = 0;
    if (!hung && WIFEXITED(status) && WEXITSTATUS(status) == NOT_HERE)
        return false;
    if (!hung && ((WIFEXITED(status) && WEXITSTATUS(status) == 0) || interrupts > 1)) // done, or killed by watch()
        return true;
    r->hangs += hung;
    r->crashes += !hung;
    say_lost(r, hung ? "DOES NOT END" : "CRASHES", WIFSIGNALED(status) && !hung ? WTERMSIG(status) : 0, at);
    if (!r->totals[i].stop)
        start_worker(r, w, i, at + 1);
    return true;
}

static void say_progress(const struct run *r, double start, bool terminal)
{
    struct totals sum;
    double seconds = now() - start;
    run_sum(r, &sum);
    double rate = (double)sum.cases / seconds, left = rate > 0 ? (double)(r->cases - sum.cases) / rate : 0;
    if (r->options->seconds && r->options->seconds - seconds < left)
        left = r->options->seconds - seconds;
    fprintf(stderr, "%s%s: %" PRIu64 " of %" PRIu64 " cases, %.0f/s, %" PRIu64 " differ, %.0f:%02.0f left%s",
            terminal ? "\r" : "", r->subject->name, sum.cases, r->cases, rate, sum.verdict[DIFFERENT],
            (double)((int)left / 60), (double)((int)left % 60), terminal ? "\033[K" : "\n");
}

static void watch(struct run *r, struct worker *workers, double start)
{
    bool terminal = isatty(STDERR_FILENO);
    double said = start;
    for (unsigned alive = 1; alive;) {
        usleep(TICK_US);
        bool late = r->options->seconds && now() - start > r->options->seconds;
        alive = 0;
        for (unsigned i = 0; i < r->options->jobs; i++) {
            r->totals[i].stop |= late || interrupts;
            if (workers[i].pid && interrupts > 1)
                kill(workers[i].pid, SIGKILL);
            if (workers[i].pid && !look_after(r, &workers[i], i))
                snprintf(r->skipped, sizeof r->skipped, "it cannot run here");
            alive += workers[i].pid != 0;
        }
        if (now() - said > (terminal ? 1 : 30)) {
            say_progress(r, start, terminal);
            said = now();
        }
    }
    if (terminal && said != start)
        fprintf(stderr, "\r\033[K");
}

bool run_engine(struct run *r)
{
    struct worker workers[MOST_JOBS] = {0};
    unsigned jobs = r->options->jobs;
    double start = now();
    r->totals = mmap(NULL, jobs * sizeof *r->totals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r->totals == MAP_FAILED) {
        snprintf(r->skipped, sizeof r->skipped, "no memory: %s", strerror(errno));
        r->totals = NULL;
        return false;
    }
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    for (unsigned i = 0; i < jobs; i++) {
        workers[i].end = r->options->first + r->cases * (i + 1) / jobs;
        start_worker(r, &workers[i], i, r->options->first + r->cases * i / jobs);
    }
    watch(r, workers, start);
    r->seconds = now() - start;
    r->interrupted = interrupts;
    return !r->skipped[0];
}

void run_sum(const struct run *r, struct totals *sum)
{
    memset(sum, 0, sizeof *sum);
    for (unsigned i = 0; i < r->options->jobs; i++) {
        const struct totals *t = &r->totals[i];
        sum->cases += t->cases;
        sum->faults += t->faults;
        sum->again += t->again;
        for (unsigned k = 0; k < VERDICTS; k++)
            sum->verdict[k] += t->verdict[k];
        for (unsigned k = 0; k < MOST_ROWS; k++) {
            sum->row_cases[k] += t->row_cases[k];
            sum->row_compared[k] += t->row_compared[k];
        }
        for (unsigned k = 0; k < VARIATIONS; k++) {
            sum->host_varies.used[k] += t->host_varies.used[k];
            sum->other_varies.used[k] += t->other_varies.used[k];
        }
    }
}
