// SPDX-License-Identifier: BSD-2-Clause
// native: yes
// A call and the ret that it leads to. The first lines step over a red zone, which a native build has.
#ifdef NATIVE
#include "guest/native.h"
#else
#include "guest/lib.h"
#endif
#include "guest/repeat.h"

IMAGE("callret");

static void body(uint64_t n, void *ctx)
{
    (void)ctx;
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n"
                     "jmp 801f\n"
                     ".p2align 4\n"
                     "800: ret\n"
                     "801:\n" REPEAT_ASM("call 800b") "leaq 128(%%rsp), %%rsp\n"
                     : [left] "+r"(n)
                     :
                     : "cc", "memory");
}

int image_main(void)
{
    bench_run(image_name, body, NULL);
    return 0;
}
