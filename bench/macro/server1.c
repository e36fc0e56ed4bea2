// SPDX-License-Identifier: BSD-2-Clause
// bantam: program
// Requests served in one address space: the client's own process reads them from the pipes that it wrote them to. What
// Apache on Windows (threads) is to the paper's Apache on Linux, this is to serverN. One iteration is a request.
#include "bench/macro/server.h"

IMAGE("server1");

int image_main(void)
{
    static struct service service = {.serve_here = true};
    make_documents(&service);
    for (unsigned i = 0; i < WORKERS; i++)
        make_pipes(&service.worker[i]);
    measure_service(&service);
    return 0;
}
