// SPDX-License-Identifier: BSD-2-Clause
// bantam: program
// Requests served by four processes: server1's work and system calls, but each request goes to another address space
// and its answer comes back. The paper's Apache on Linux. One iteration is a request.
#include "bench/macro/server.h"

IMAGE("serverN");

// The client's ends of the pipes are closed in the worker, or the workers would keep each other from their end.
static void start_worker(struct service *s, unsigned number)
{
    struct worker *w = &s->worker[number];
    make_pipes(w);
    w->pid = fork();
    if (w->pid < 0)
        panic("fork: error %d", -w->pid);
    if (w->pid == 0) {
        for (unsigned i = 0; i <= number; i++) {
            close(s->worker[i].ask[1]);
            close(s->worker[i].answer[0]);
        }
        while (serve_one(s, w))
            ;
        _exit(0);
    }
    close(w->ask[0]);
    close(w->answer[1]);
}

int image_main(void)
{
    static struct service service;
    make_documents(&service);
    for (unsigned i = 0; i < WORKERS; i++)
        start_worker(&service, i);
    measure_service(&service);
    for (unsigned i = 0; i < WORKERS; i++) {
        int status;
        close(service.worker[i].ask[1]);
        if (waitpid(service.worker[i].pid, &status, 0) != service.worker[i].pid || status)
            panic("worker %u did not end well", i);
    }
    return 0;
}
