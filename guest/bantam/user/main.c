// SPDX-License-Identifier: BSD-2-Clause
// From start.S to image_main() and out again; options are the words of argv. cpu=N pins the program and is fatal where
// that is refused (status 3). part=NAME is for programs that execute themselves, to be another process of theirs: it
// prints no begin record, has no timer (CPUID is slow where it is virtualized), and is to end by _exit().
#include "guest/bantam/user/lib.h"
#include "guest/repeat.h"
#include "guest/report.h"

#define SYS_SCHED_SETAFFINITY 203
#define CPUS_MAX 1024
#define STATUS_PANIC 2
#define STATUS_PIN 3

_Noreturn void user_main(uint64_t *stack); // called by start.S alone

struct start_info start_info;

uint64_t aux_value(uint64_t type)
{
    for (const uint64_t *aux = start_info.auxv; aux[0] != AT_NULL; aux += 2) {
        if (aux[0] == type)
            return aux[1];
    }
    return 0;
}

const char *beside(char *path, size_t size, const char *name)
{
    const char *own = (const char *)aux_value(AT_EXECFN);
    size_t folder = own ? strlen(own) : 0, length = strlen(name);
    while (folder && own[folder - 1] != '/')
        folder--;
    if (folder + length >= size)
        panic("%s: a path too long", name);
    memcpy(path, own, folder);
    memcpy(path + folder, name, length + 1);
    return path;
}

const char *option(const char *key)
{
    for (int i = 1; i < start_info.argc; i++) {
        const char *value = word_value(start_info.argv[i], key);
        if (value)
            return value;
    }
    return NULL;
}

static void pin(void)
{
    static uint64_t mask[CPUS_MAX / 64];
    uint64_t cpu = option_u64("cpu", 0);
    if (cpu < CPUS_MAX)
        mask[cpu / 64] = 1ull << cpu % 64;
    int64_t result = syscall3(SYS_SCHED_SETAFFINITY, 0, sizeof mask, (uint64_t)mask);
    if (result < 0) {
        print("%s: cannot pin to CPU %lu: error %ld\n", image_name, cpu, -result);
        _exit(STATUS_PIN);
    }
}

_Noreturn void user_main(uint64_t *stack)
{
    start_info.argc = (int)stack[0];
    start_info.argv = (char **)(stack + 1);
    start_info.envp = start_info.argv + stack[0] + 1;
    char **end = start_info.envp;
    while (*end)
        end++;
    start_info.auxv = (const uint64_t *)(end + 1);
    if (option("cpu"))
        pin();
    if (!option("part")) {
        tsc_init();
        print(RS1_PREFIX "begin name=%s\n", image_name);
    }
    image_exit(checked_status(image_main()));
}
