// SPDX-License-Identifier: BSD-2-Clause
// native: yes
// callret with a callee whose branches nobody can predict: what a translator's returns cost where the branch history
// says nothing about them. The callee steps a 64-bit congruential generator (Knuth's MMIX constants) and branches on
// two of its upper bits.
#ifdef NATIVE
#include "guest/native.h"
#else
#include "guest/lib.h"
#endif
#include "guest/repeat.h"

IMAGE("callret_branchy");

static void body(uint64_t n, void *ctx)
{
    uint64_t random = 1, steps = 0, multiplier = 6364136223846793005ull;
    (void)ctx;
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n" // over a native build's red zone
                     "jmp 801f\n"
                     ".p2align 4\n"
                     "800: imulq %[multiplier], %[random]\n"
                     "incq %[random]\n"
                     "btq $61, %[random]\n"
                     "jnc 802f\n"
                     "addq $3, %[steps]\n"
                     "802: btq $58, %[random]\n"
                     "jnc 803f\n"
                     "incq %[steps]\n"
                     "803: ret\n"
                     "801:\n" REPEAT_ASM("call 800b") "leaq 128(%%rsp), %%rsp\n"
                     : [left] "+r"(n), [random] "+r"(random), [steps] "+r"(steps)
                     : [multiplier] "r"(multiplier)
                     : "cc", "memory");
}

int image_main(void)
{
    bench_run(image_name, body, NULL);
    return 0;
}
