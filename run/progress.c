// SPDX-License-Identifier: BSD-2-Clause
// One line that is written anew on a terminal, a plain line every few seconds elsewhere. The time left is what the
// jobs to come would take if each took as long as those of its engine did on average.
#include "run/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "run/watch.h"

#define NS_PER_S 1000000000ull
#define PLAIN_LINE_NS (5 * NS_PER_S)
#define TTY_LINE_NS (NS_PER_S / 5)

void progress_start(struct progress *p, const struct plan *plan)
{
    *p = (struct progress){.plan = plan, .tty = isatty(2), .start_ns = monotonic_ns()};
    p->last_line_ns = p->start_ns;
}

static uint64_t mean(uint64_t sum, size_t count)
{
    return count ? sum / count : 0;
}

static uint64_t left_ns(const struct progress *p, uint64_t now)
{
    const struct plan *plan = p->plan;
    uint64_t spent = 0, left = 0, elapsed = now - p->start_ns;
    for (size_t e = 0; e < plan->engine_count; e++)
        spent += p->spent_ns[e];
    for (size_t i = p->done; i < plan->job_count; i++) {
        size_t e = plan->job[i].engine;
        left += p->finished[e] ? mean(p->spent_ns[e], p->finished[e]) : mean(spent, p->done);
    }
    uint64_t box = plan->box_ns > elapsed ? plan->box_ns - elapsed : 0;
    return left < box ? left : box;
}

void progress_show(struct progress *p)
{
    uint64_t now = monotonic_ns();
    if (p->done >= p->plan->job_count || now - p->last_line_ns < (p->tty ? TTY_LINE_NS : PLAIN_LINE_NS))
        return;
    const struct job *job = &p->plan->job[p->done];
    const struct image *image = p->plan->image[job->image];
    unsigned long long left = left_ns(p, now) / NS_PER_S;
    p->last_line_ns = now;
    fprintf(stderr, "%s%zu of %zu, %llu s, ", p->tty ? "\r" : "bench: ", p->done, p->plan->job_count,
            (unsigned long long)((now - p->start_ns) / NS_PER_S));
    if (p->done)
        fprintf(stderr, "about %llu:%02llu left: ", left / 60, left % 60);
    fprintf(stderr, "%s/%s on %s%s", image->suite, image->name, p->plan->engine[job->engine].name,
            p->tty ? "\033[K" : "\n"); // ESC [ K: clear to the end of the line
}

void progress_job_begins(struct progress *p)
{
    p->job_start_ns = monotonic_ns();
    progress_show(p);
}

void progress_job_ended(struct progress *p)
{
    size_t e = p->plan->job[p->done].engine;
    p->spent_ns[e] += monotonic_ns() - p->job_start_ns;
    p->finished[e]++;
    p->done++;
}

void progress_end(struct progress *p)
{
    if (p->tty)
        fprintf(stderr, "\r\033[K");
}
