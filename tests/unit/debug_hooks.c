// SPDX-License-Identifier: BSD-2-Clause
// What engines do for a debugger outside: single steps, and breakpoints that the guest does not see. interp's budget of
// one instruction says what the steps of all must be; then breakpoints at what it came by stop the others there, with
// the very same registers, however they execute code in between.
#include <stdlib.h>
#include <string.h>

#include "machine/machine.h"
#include "run/images.h"
#include "tests/unit/check.h"

#define STEPS_MAX 20000
#define PAIRS 20
#define BEFORE_CLOCK 3000 // steps of the guest Unix before it first reads the TSC

struct place {
    uint64_t rip;
    uint64_t registers; // a hash
    uint8_t cpl;
};

struct trace {
    size_t count;
    struct place place[STEPS_MAX];
};

static struct trace *reference;
static bool with_registers; // the image does nothing that depends on time
static struct vcpu_state state;
static char message[256];

static bool sink(void *ctx, uint8_t byte)
{
    (void)ctx, (void)byte;
    return true;
}

static void no_mark(void *ctx, uint32_t value)
{
    (void)ctx, (void)value;
}

// Without the TSC's offset, which nobody should read here; time stands still.
static uint64_t stopped(void *ctx)
{
    (void)ctx;
    return 0;
}

static const struct machine_clock clock_of_none = {.now = stopped};

static struct machine *start(const struct engine *engine, const char *settings, const char *path)
{
    uint8_t *image;
    size_t size;
    const struct machine_config config = {.ram_bytes = 32 << 20,
                                          .cmdline = "reps=1 cycles=1000",
                                          .settings = settings,
                                          .clock = &clock_of_none,
                                          .serial_out = sink,
                                          .mark = no_mark};
    if (file_read(path, &image, &size, message, sizeof message))
        return NULL;
    struct machine *m = machine_create(&config, engine, message, sizeof message);
    if (m && machine_load(m, image, size, message, sizeof message)) {
        machine_destroy(m);
        m = NULL;
    }
    free(image);
    return m;
}

static struct place where(struct vcpu *v)
{
    struct place p = {.registers = 0xcbf29ce484222325};
    if (v->engine->get_state(v, &state))
        return p;
    for (int i = 0; i < GPR_COUNT && with_registers; i++)
        p.registers = (p.registers ^ state.gpr[i]) * 0x100000001b3;
    p.rip = state.rip;
    p.cpl = state.seg[SEG_SS].attr >> 5 & 3;
    return p;
}

static bool same(struct place a, struct place b)
{
    return a.rip == b.rip && a.registers == b.registers && a.cpl == b.cpl;
}

// interp, by its budget: the way that every other engine has to go.
static bool trace(const char *path, size_t steps)
{
    struct machine *m = start(&engine_interp, NULL, path);
    if (!CHECK(m != NULL))
        return false;
    struct vcpu *v = machine_vcpu(m);
    reference->count = 0;
    while (reference->count < steps) {
        reference->place[reference->count++] = where(v);
        enum vcpu_exit exit = v->engine->run(v, 1);
        if (exit == VCPU_EXIT_POWER || exit == VCPU_EXIT_ERROR || exit == VCPU_EXIT_SHUTDOWN)
            break;
    }
    machine_destroy(m);
    return CHECK(reference->count > 1000);
}

static void steps(const struct engine *engine, const char *settings, const char *path, size_t count)
{
    struct machine *m = start(engine, settings, path);
    if (!CHECK(m != NULL))
        return;
    struct vcpu *v = machine_vcpu(m);
    size_t i = 0;
    for (; i < count && i < reference->count; i++) {
        if (!CHECK(same(where(v), reference->place[i])))
            break;
        enum vcpu_exit exit;
        do
            exit = v->engine->step(v);
        while (exit == VCPU_EXIT_KICK);
        bool ends = exit == VCPU_EXIT_POWER && i + 1 == reference->count;
        if (!CHECK(exit == VCPU_EXIT_BUDGET || exit == VCPU_EXIT_MARK || ends))
            break;
    }
    if (i < count && i < reference->count)
        printf("# %s: step %zu: exit or state is another at %#" PRIx64 " (should be %#" PRIx64 "): %s\n", engine->name,
               i, state.rip, reference->place[i].rip, v->error);
    machine_destroy(m);
}

// The next place, from n on, that was not come by before.
static size_t next_new(size_t n)
{
    for (; n < reference->count; n++) {
        size_t i = 0;
        while (i < n && reference->place[i].rip != reference->place[n].rip)
            i++;
        if (i == n)
            break;
    }
    return n;
}

static enum vcpu_exit run_on(struct vcpu *v)
{
    enum vcpu_exit exit;
    do
        exit = v->engine->run(v, 0);
    while (exit == VCPU_EXIT_KICK || exit == VCPU_EXIT_MARK);
    return exit;
}

// From the start to a place; there the run stays until a step is made; then on to a second place.
static void breakpoints(const struct engine *engine, const char *settings, const char *path, size_t first,
                        size_t second)
{
    struct machine *m = start(engine, settings, path);
    if (!CHECK(m != NULL))
        return;
    struct vcpu *v = machine_vcpu(m);
    uint64_t at[2] = {reference->place[first].rip, reference->place[second].rip};
    struct breakpoints set = {.count = 2, .at = {at[0], at[1]}};
    CHECK_EQ(v->engine->set_breakpoints(v, &set), 0);
    CHECK_EQ(run_on(v), VCPU_EXIT_BREAKPOINT);
    bool ok = CHECK(same(where(v), reference->place[first]));
    CHECK_EQ(run_on(v), VCPU_EXIT_BREAKPOINT); // nothing has been executed
    ok = CHECK(same(where(v), reference->place[first])) && ok;
    CHECK_EQ(v->engine->step(v), VCPU_EXIT_BUDGET);
    ok = CHECK(same(where(v), reference->place[first + 1])) && ok;
    set.count = 1;
    set.at[0] = at[1];
    CHECK_EQ(v->engine->set_breakpoints(v, &set), 0);
    CHECK_EQ(run_on(v), VCPU_EXIT_BREAKPOINT);
    ok = CHECK(same(where(v), reference->place[second])) && ok;
    if (!ok)
        printf("# %s:%s: places %zu and %zu, at %#" PRIx64 "; %s\n", engine->name, settings ? settings : "", first,
               second, state.rip, v->error);
    set.count = 0;
    CHECK_EQ(v->engine->set_breakpoints(v, &set), 0);
    machine_destroy(m);
}

// Places all over the trace. Before each pair lies the code that leads there.
static void breakpoints_all_over(const struct engine *engine, const char *settings, const char *path, unsigned pairs)
{
    unsigned done = 0;
    for (size_t n = 10; done < pairs; n += n / 2) {
        size_t first = next_new(n), second = next_new(first + 2);
        if (second >= reference->count)
            break;
        breakpoints(engine, settings, path, first, second);
        done++;
    }
    CHECK(done > 0);
}

// A program's first instruction, once its page is there (before, there is nothing to stop at, only a page fault), and
// one in the kernel after it.
static void breakpoints_in_user_code(const struct engine *engine, const char *settings, const char *path)
{
    size_t user = 0, after;
    while (user + 1 < reference->count && !(reference->place[user].cpl == 3 && reference->place[user + 1].cpl == 3))
        user++;
    after = user;
    while (after < reference->count && (reference->place[after].cpl == 3 || next_new(after) != after))
        after++;
    if (CHECK(after < reference->count))
        breakpoints(engine, settings, path, user, after);
}

static bool available(const struct engine *engine)
{
    struct engine_info info;
    engine->probe(&info);
    if (!info.available)
        printf("skip debug_hooks: %s: %s\n", engine->name, info.reason);
    return info.available;
}

static void all_engines(const char *path, size_t count)
{
    static const char *const ways[] = {"", "checked", "user=translated", "user=direct"};
    steps(&engine_interp, NULL, path, count);
    breakpoints_all_over(&engine_interp, NULL, path, PAIRS);
    breakpoints_in_user_code(&engine_interp, NULL, path);
    if (available(&engine_bt)) {
        steps(&engine_bt, NULL, path, count);
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            breakpoints_all_over(&engine_bt, ways[i], path, PAIRS);
            breakpoints_in_user_code(&engine_bt, ways[i], path);
        }
    }
    if (available(&engine_vtx)) {
        steps(&engine_vtx, NULL, path, 500);
        breakpoints_all_over(&engine_vtx, NULL, path, 3);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    region_fix_layout(argv);
    reference = calloc(1, sizeof *reference);
    if (!reference)
        return 1;
    with_registers = true;
    if (trace("build/images/test/callgate.elf", STEPS_MAX))
        all_engines("build/images/test/callgate.elf", STEPS_MAX);
    with_registers = false;
    if (trace("build/images/micro/forkwait.elf", STEPS_MAX))
        all_engines("build/images/micro/forkwait.elf", BEFORE_CLOCK);
    free(reference);
    return check_done("debug_hooks");
}
