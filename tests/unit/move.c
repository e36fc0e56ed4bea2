// SPDX-License-Identifier: BSD-2-Clause
// A running guest moves between engines, at marks, between any two instructions, and at kicks wherever they find it,
// and must compute what it computes on one: struct vcpu_state is complete, and all engines mean the same by it.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "include/guest_abi.h"
#include "include/vcpu.h"
#include "machine/cpuid.h"
#include "machine/loader.h"
#include "machine/ram.h"
#include "tests/unit/check.h"
#include "x86/regs.h"

#define CODE_ADDR 0x100000ull
#define DATA_ADDR 0x180000ull
#define ROUNDS 40

// Registers, flags across an exit, stack, memory, gs bases, and an instruction that is rewritten in every round.
__asm__(".pushsection .rodata\n"
        "move_code:\n"
        "   mov $0xc0000101, %ecx\n mov $0x180000, %eax\n xor %edx, %edx\n wrmsr\n" // gs base: DATA_ADDR
        "   inc %ecx\n mov $0x180800, %eax\n wrmsr\n"                               // kernel gs base
        "   mov $0x180000, %ebx\n mov $0x9e3779b97f4a7c15, %r8\n xor %eax, %eax\n xor %r9d, %r9d\n"
        "1: mov $50, %ecx\n"
        "2: imul %r8, %rax\n add %rcx, %rax\n rol $13, %rax\n mov %rax, (%rbx, %rcx, 8)\n push %rax\n pop %rdi\n"
        "   bswap %rdi\n xor %rdi, %rax\n dec %ecx\n jnz 2b\n"
        "   addl $1, 3f+2(%rip)\n"
        "3: add $0x11111111, %rax\n"
        "   swapgs\n mov %rax, %gs:0x100\n swapgs\n add %gs:0x20, %rax\n"
        "   mov %rax, %r10\n mov $0x2e0, %edx\n mov $0x101, %eax\n"
        "   mov %r10, %r11\n add %r8, %r11\n" // all flags set by it live across the exit
        "   out %eax, %dx\n"
        "   pushfq\n pop %rax\n and $0x8d5, %eax\n add %r10, %rax\n"
        "   inc %r9d\n cmp $40, %r9d\n jb 1b\n"
        "   out %al, $0xf4\n"
        "move_code_end:\n.popsection");
extern const uint8_t move_code[], move_code_end[];

struct guest {
    struct guest_ram ram;
    struct cpuid_leaf cpuid[MACHINE_CPUID_LEAVES];
    struct vcpu v[2]; // the same RAM under both engines
    unsigned marks;
};

static struct vcpu *volatile running; // for the timer's signal

static void on_alarm(int number)
{
    (void)number;
    struct vcpu *v = running;
    if (v)
        v->engine->kick(v);
}

static void kick_every(unsigned microseconds)
{
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm, .sa_flags = SA_RESTART | SA_ONSTACK}, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static enum vcpu_exit pio_read(void *machine, uint16_t port, unsigned size, uint32_t *value)
{
    (void)machine, (void)port, (void)size;
    *value = UINT32_MAX;
    return VCPU_CONTINUE;
}

static enum vcpu_exit pio_write(void *machine, uint16_t port, unsigned size, uint32_t value)
{
    struct guest *g = machine;
    (void)size, (void)value;
    g->marks += port == PORT_MARK;
    return port == PORT_MARK ? VCPU_EXIT_MARK : VCPU_EXIT_POWER;
}

static struct guest *guest_new(const struct engine *first, const struct engine *second)
{
    struct guest *g = calloc(1, sizeof *g);
    struct vcpu_state state;
    char err[256] = "no memory";
    if (!g || ram_create(&g->ram, 8 << 20, err, sizeof err) ||
        boot_prepare(&g->ram, "", CODE_ADDR, &state, err, sizeof err)) {
        printf("# %s\n", err);
        exit(1);
    }
    memcpy(ram_at(&g->ram, gpa(CODE_ADDR), 4096), move_code, (size_t)(move_code_end - move_code));
    for (unsigned i = 0; i < 2; i++) {
        struct vcpu *v = &g->v[i];
        v->engine = i ? second : first;
        v->ram = &g->ram;
        v->cpuid = machine_cpuid(g->cpuid, x86_host_features());
        v->bus = (struct vcpu_bus){.machine = g, .pio_read = pio_read, .pio_write = pio_write};
        if (!CHECK(v->engine->create(v) == 0 && v->engine->set_state(v, &state) == 0)) {
            printf("# %s\n", v->error);
            exit(1);
        }
    }
    return g;
}

static void guest_free(struct guest *g)
{
    for (unsigned i = 0; i < 2; i++)
        g->v[i].engine->destroy(&g->v[i]);
    ram_destroy(&g->ram);
    free(g);
}

static bool move(struct vcpu *from, struct vcpu *to)
{
    struct vcpu_state state;
    bool ok = from->engine->get_state(from, &state) == 0 && to->engine->set_state(to, &state) == 0;
    if (!ok)
        printf("# %s%s\n", from->error, to->error);
    return ok;
}

static enum vcpu_exit run(struct vcpu *v, uint64_t budget)
{
    running = v;
    enum vcpu_exit e = v->engine->run(v, budget);
    running = NULL;
    return e;
}

// Runs to the end, changing engines at every exit; budget for the engine that can keep one. Gives the final rax.
static uint64_t run_to_end(struct guest *g, uint64_t budget, unsigned *moves)
{
    struct vcpu_state end = {0};
    enum vcpu_exit e;
    unsigned now = 0;
    *moves = 0;
    while ((e = run(&g->v[now], budget)) == VCPU_EXIT_MARK || e == VCPU_EXIT_BUDGET || e == VCPU_EXIT_KICK) {
        if (!CHECK(move(&g->v[now], &g->v[!now])))
            return 0;
        now = !now;
        ++*moves;
    }
    if (!CHECK(e == VCPU_EXIT_POWER))
        printf("# exit %d: %s\n", e, g->v[now].error);
    CHECK(g->marks == ROUNDS);
    CHECK(g->v[now].engine->get_state(&g->v[now], &end) == 0);
    return end.gpr[RAX];
}

static uint64_t result_of(const struct engine *first, const struct engine *second, uint64_t budget, unsigned *moves)
{
    struct guest *g = guest_new(first, second);
    uint64_t result = run_to_end(g, budget, moves);
    guest_free(g);
    return result;
}

// An NMI that has come and was not delivered yet belongs to the CPU, not to the engine.
static void pending_nmi(const struct engine *first, const struct engine *second)
{
    struct guest *g = guest_new(first, second);
    struct vcpu_state before, after;
    first->inject_nmi(&g->v[0]);
    CHECK(move(&g->v[0], &g->v[1]));
    CHECK(first->get_state(&g->v[0], &before) == 0 && before.nmi_pending);
    CHECK(second->get_state(&g->v[1], &after) == 0 && after.nmi_pending);
    guest_free(g);
}

static void move_interp_bt(uint64_t want)
{
    enum { BUDGETS = 100, KICKED_RUNS = 100, EVERY = 150 };
    unsigned moves, all = 0;
    pending_nmi(&engine_interp, &engine_bt);
    pending_nmi(&engine_bt, &engine_interp);
    CHECK_EQ(result_of(&engine_bt, &engine_interp, 0, &moves), want);
    CHECK_EQ(result_of(&engine_interp, &engine_bt, 0, &moves), want);
    CHECK_EQ(result_of(&engine_bt, &engine_interp, 1, &moves), want); // every other instruction
    CHECK(moves > 10 * ROUNDS);
    for (unsigned budget = 1; budget < BUDGETS; budget++, all += moves)
        CHECK_EQ(result_of(&engine_interp, &engine_bt, budget, &moves), want);
    kick_every(EVERY);
    for (unsigned i = 0; i < KICKED_RUNS; i++, all += moves)
        CHECK_EQ(result_of(&engine_bt, &engine_interp, i % 3 ? 31 + i : 0, &moves), want);
    kick_every(0);
    CHECK(all > BUDGETS * ROUNDS);
}

static void move_vtx(uint64_t want, bool bt)
{
    unsigned moves;
    pending_nmi(&engine_vtx, &engine_interp);
    pending_nmi(&engine_interp, &engine_vtx);
    CHECK_EQ(result_of(&engine_vtx, &engine_vtx, 0, &moves), want);
    CHECK_EQ(result_of(&engine_interp, &engine_vtx, 0, &moves), want);
    CHECK_EQ(result_of(&engine_vtx, &engine_interp, 0, &moves), want);
    CHECK_EQ(result_of(&engine_interp, &engine_vtx, 137, &moves), want);
    CHECK(moves > ROUNDS);
    if (bt)
        CHECK_EQ(result_of(&engine_vtx, &engine_bt, 0, &moves), want);
}

int main(int argc, char **argv)
{
    region_fix_layout(argv);
    struct engine_info bt, vtx;
    unsigned moves;
    bool only_vtx = argc > 1 && !strcmp(argv[1], "vtx"); // for a host that is itself emulated, and slow
    uint64_t want = result_of(&engine_interp, &engine_interp, 0, &moves);
    CHECK(want != 0 && moves == ROUNDS);
    CHECK_EQ(result_of(&engine_interp, &engine_interp, 7, &moves), want); // between any two instructions
    CHECK(moves > 10 * ROUNDS);
    engine_bt.probe(&bt);
    if (!bt.available)
        SKIP(bt.reason);
    else if (!only_vtx)
        move_interp_bt(want);
    engine_vtx.probe(&vtx);
    if (vtx.available)
        move_vtx(want, bt.available);
    else
        SKIP(vtx.reason);
    return check_done("move");
}
