// SPDX-License-Identifier: BSD-2-Clause
// A fuzz target without libFuzzer: inputs of a fixed seed, for `make test`. `fuzz_NAME --inputs DIR` writes some into
// files, `fuzz_NAME FILE...` runs those.
#include "tests/fuzz/fuzz.h"

#include "include/vcpu.h"

#define FILES 200

static uint8_t data[FUZZ_INPUT_MAX];

static int write_inputs(const char *folder)
{
    uint64_t rng = 1;
    for (unsigned i = 0; i < FILES; i++) {
        char path[512];
        size_t size = fuzz_input(data, &rng);
        snprintf(path, sizeof path, "%s/%u", folder, i);
        FILE *f = fopen(path, "wb");
        if (!f || fwrite(data, 1, size, f) != size || fclose(f))
            return 1;
    }
    return 0;
}

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return 1;
    size_t size = fread(data, 1, sizeof data, f);
    fclose(f);
    return LLVMFuzzerTestOneInput(data, size);
}

int main(int argc, char **argv)
{
    uint64_t rng = 1;
    region_fix_layout(argv);
    if (argc == 3 && !strcmp(argv[1], "--inputs"))
        return write_inputs(argv[2]);
    const char *reason = fuzz_start();
    if (reason) {
        printf("skip fuzz %s: %s\n", fuzz_name, reason);
        return 0;
    }
    for (int i = 1; i < argc; i++)
        if (run_file(argv[i]))
            return 1;
    for (unsigned i = 0; argc == 1 && i < fuzz_runs; i++)
        LLVMFuzzerTestOneInput(data, fuzz_input(data, &rng));
    printf("ok fuzz %s: %u inputs\n", fuzz_name, argc == 1 ? fuzz_runs : (unsigned)argc - 1);
    return 0;
}
