// SPDX-License-Identifier: BSD-2-Clause
// Quicksort of 256 numbers: recursion and branches that no predictor learns, some 15,000 instructions an iteration.
// The code is in user pages so that CPL 0 and CPL 3 run the same instructions; also a native program.
#if defined(NATIVE)
#include "guest/native.h"
#elif defined(BANTAM)
#include "guest/bantam/user/lib.h"
#else
#include "guest/lib.h"
#endif

IMAGE("sort");

#define COUNT 256

struct sort {
    uint64_t seed;
    uint32_t array[COUNT];
};
static USER_DATA struct sort state;

// Hoare's partition around the middle element, then both halves.
static USER_CODE void quicksort(uint32_t *a, long low, long high)
{
    uint32_t pivot = a[(low + high) / 2];
    long i = low, j = high;
    while (i <= j) {
        while (a[i] < pivot)
            i++;
        while (a[j] > pivot)
            j--;
        if (i <= j) {
            uint32_t t = a[i];
            a[i++] = a[j];
            a[j--] = t;
        }
    }
    if (low < j)
        quicksort(a, low, j);
    if (i < high)
        quicksort(a, i, high);
}

static USER_CODE void body(uint64_t n, void *ctx)
{
    struct sort *s = ctx;
    while (n--) {
        uint64_t x = s->seed;
        for (unsigned i = 0; i < COUNT; i++) {
            x = x * 6364136223846793005ull + 1442695040888963407ull;
            s->array[i] = (uint32_t)(x >> 32);
        }
        quicksort(s->array, 0, COUNT - 1);
    }
}

int image_main(void)
{
    state.seed = 1;
    bench_run("sort", body, &state);
    uint64_t sum = 0;
    for (unsigned i = 0; i < COUNT; i++)
        sum = sum * 31 + state.array[i];
    bench_value("sort", sum);
    bench_run_user("sort_user", body, &state);
    return 0;
}
