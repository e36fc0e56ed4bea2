// SPDX-License-Identifier: BSD-2-Clause
// vectors: yes
// The product of two 32 by 32 matrices of single precision, four elements at a time: loads, broadcasts, multiplications
// and additions of whole SSE registers, some 25,000 instructions an iteration. The code is in user pages so that CPL 0
// and CPL 3 run the same instructions; also a native program.
#if defined(NATIVE)
#include "guest/native.h"
#elif defined(BANTAM)
#include "guest/bantam/user/lib.h"
#else
#include "guest/lib.h"
#endif
#include "bench/micro/vectors.h"

IMAGE("matrix");

#define SIZE 32
#define LANES 4

typedef float lanes __attribute__((vector_size(4 * LANES)));

struct matrix {
    float a[SIZE][SIZE];
    lanes b[SIZE][SIZE / LANES], product[SIZE][SIZE / LANES];
    uint64_t result;
};
static USER_DATA struct matrix state __attribute__((aligned(64)));

static VECTOR_CODE void prepare(struct matrix *m)
{
    for (unsigned i = 0; i < SIZE; i++)
        for (unsigned j = 0; j < SIZE; j++) {
            m->a[i][j] = (float)(int)(i * 3 + j) / 7;
            m->b[i][j / LANES][j % LANES] = (float)(int)(i + j * 5) / 11;
        }
}

static VECTOR_CODE void run(uint64_t n, void *ctx)
{
    struct matrix *m = ctx;
    while (n--) {
        for (unsigned i = 0; i < SIZE; i++)
            for (unsigned j = 0; j < SIZE / LANES; j += 2) {
                lanes sum = {0}, other = {0};
                for (unsigned k = 0; k < SIZE; k++) {
                    lanes by = {m->a[i][k], m->a[i][k], m->a[i][k], m->a[i][k]};
                    sum += by * m->b[k][j];
                    other += by * m->b[k][j + 1];
                }
                m->product[i][j] = sum;
                m->product[i][j + 1] = other;
            }
        m->result = (uint64_t)(int64_t)m->product[SIZE - 1][SIZE / LANES - 1][LANES - 1];
        __asm__ volatile("" ::: "memory"); // each iteration starts over
    }
}

SCALAR_CODE int image_main(void)
{
    if (!has_vectors()) {
        skip_vectors();
        return 0;
    }
    prepare(&state);
    bench_run("matrix", run, &state);
    bench_value("matrix", state.result);
    bench_run_user("matrix_user", run, &state);
    return 0;
}
