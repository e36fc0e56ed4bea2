// SPDX-License-Identifier: BSD-2-Clause
// vectors: yes
// Five bodies under gravity, 40 time steps an iteration: scalar double precision, some 300 SSE2 instructions a step
// with ten square roots and divisions among them, and memory operands in between. The code is in user pages so that CPL
// 0 and CPL 3 run the same instructions; also a native program.
#if defined(NATIVE)
#include "guest/native.h"
#elif defined(BANTAM)
#include "guest/bantam/user/lib.h"
#else
#include "guest/lib.h"
#endif
#include "bench/micro/vectors.h"

IMAGE("nbody");

#define BODIES 5
#define STEPS 40

struct nbody {
    struct body {
        double at[3], velocity[3], mass;
    } body[BODIES], begin[BODIES];
    double dt, unit; // here, as user code cannot read the image's constants
    uint64_t result;
};
static USER_DATA struct nbody state = {.dt = 0.01,
                                       .unit = 1e9,
                                       .begin = {{{0, 0, 0}, {0.02, -0.01, 0}, 40},
                                                 {{4.8, -1.2, -0.1}, {0.6, 2.8, 0}, 0.04},
                                                 {{8.3, 4.1, -0.4}, {-1.0, 1.8, 0.01}, 0.01},
                                                 {{12.9, -15.1, -0.2}, {1.1, 0.9, -0.01}, 0.002},
                                                 {{15.4, -25.9, 0.2}, {1.0, 0.6, -0.03}, 0.002}}};

static INLINE void pull(struct body *a, struct body *b, double dt)
{
    double d[3], square = 0;
    for (unsigned i = 0; i < 3; i++) {
        d[i] = a->at[i] - b->at[i];
        square += d[i] * d[i];
    }
    double by = dt / (square * __builtin_sqrt(square));
    for (unsigned i = 0; i < 3; i++) {
        a->velocity[i] -= d[i] * b->mass * by;
        b->velocity[i] += d[i] * a->mass * by;
    }
}

static INLINE void step(struct body *bodies, double dt)
{
    for (unsigned a = 0; a < BODIES; a++)
        for (unsigned b = a + 1; b < BODIES; b++)
            pull(&bodies[a], &bodies[b], dt);
    for (unsigned a = 0; a < BODIES; a++)
        for (unsigned i = 0; i < 3; i++)
            bodies[a].at[i] += dt * bodies[a].velocity[i];
}

static VECTOR_CODE void run(uint64_t n, void *ctx)
{
    struct nbody *p = ctx;
    while (n--) {
        for (unsigned i = 0; i < BODIES; i++)
            p->body[i] = p->begin[i];
        for (unsigned i = 0; i < STEPS; i++)
            step(p->body, p->dt);
        p->result = (uint64_t)(int64_t)(p->body[1].at[0] * p->unit);
        __asm__ volatile("" ::: "memory"); // each iteration starts over
    }
}

SCALAR_CODE int image_main(void)
{
    if (!has_vectors()) {
        skip_vectors();
        return 0;
    }
    bench_run("nbody", run, &state);
    bench_value("nbody", state.result);
    bench_run_user("nbody_user", run, &state);
    return 0;
}
