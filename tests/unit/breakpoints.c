// SPDX-License-Identifier: BSD-2-Clause
// Breakpoints on instructions and data, judged by the host's own debug registers: short runs of instructions at random,
// with one to four breakpoints among them and on the memory that they work on. A child of ours runs them under ptrace,
// interp and bt at CPL 3 and 0; where each stops, and by which breakpoints, must be the same.
//
// breakpoints [SEED [COUNT [FIRST]]]
#include <stddef.h>

#include "tests/cpu/system.h"
#include "tests/unit/check.h"
#include "tests/unit/range.h"
#include "tests/unit/traced.h"

enum { DEFAULT_COUNT = 4000, INSNS = 6, STOPS = 40, SHOWN = 10 };
enum { ON_EXECUTION, ON_WRITE, ON_ACCESS = 3 };
#define DATA (WINDOW + 0x800)

// Memory operands are disp8(%rdi) where there is a place for the displacement; 0: none.
static const struct {
    uint8_t bytes[10], length, disp, align;
} insns[] = {
    {{0x90}, 1, 0, 1},                             // nop
    {{0xc6, 0x47, 0, 7}, 4, 2, 1},                 // movb $7, m
    {{0x66, 0xc7, 0x47, 0, 7, 0}, 6, 3, 1},        // movw $7, m
    {{0xc7, 0x47, 0, 7, 0, 0, 0}, 7, 2, 1},        // movl $7, m
    {{0x48, 0xc7, 0x47, 0, 7, 0, 0, 0}, 8, 3, 1},  // movq $7, m
    {{0x8a, 0x47, 0}, 3, 2, 1},                    // movb m, %al
    {{0x66, 0x8b, 0x47, 0}, 4, 3, 1},              // movw m, %ax
    {{0x8b, 0x47, 0}, 3, 2, 1},                    // movl m, %eax
    {{0x48, 0x8b, 0x47, 0}, 4, 3, 1},              // movq m, %rax
    {{0x48, 0xff, 0x47, 0}, 4, 3, 1},              // incq m
    {{0x66, 0x01, 0x47, 0}, 4, 3, 1},              // addw %ax, m
    {{0x38, 0x47, 0}, 3, 2, 1},                    // cmpb %al, m
    {{0xf0, 0x0f, 0xc1, 0x47, 0}, 5, 4, 1},        // lock xaddl %eax, m
    {{0x48, 0x87, 0x47, 0}, 4, 3, 1},              // xchgq %rax, m
    {{0xf0, 0x48, 0x0f, 0xb1, 0x4f, 0}, 6, 5, 1},  // lock cmpxchgq %rcx, m: it writes in either case
    {{0xf0, 0x48, 0x0f, 0xc7, 0x4f, 0}, 6, 5, 16}, // lock cmpxchg16b m
    {{0x48, 0x0f, 0xba, 0x6f, 0, 5}, 6, 4, 1},     // btsq $5, m
    {{0x48, 0x0f, 0xa3, 0x4f, 0}, 5, 4, 1},        // btq %rcx, m
    {{0xff, 0x77, 0}, 3, 2, 1},                    // pushq m
    {{0x8f, 0x47, 0}, 3, 2, 1},                    // popq m
    {{0x50}, 1, 0, 1},                             // pushq %rax
    {{0x66, 0x50}, 2, 0, 1},                       // pushw %ax
    {{0x5a}, 1, 0, 1},                             // popq %rdx
    {{0xe8, 0, 0, 0, 0}, 5, 0, 1},                 // call of what follows
    {{0xc8, 8, 0, 2}, 4, 0, 1},                    // enter $8, $2
    {{0xa4}, 1, 0, 1},                             // movsb
    {{0x48, 0xa5}, 2, 0, 1},                       // movsq
    {{0xaa}, 1, 0, 1},                             // stosb
    {{0x66, 0xad}, 2, 0, 1},                       // lodsw
    {{0xa6}, 1, 0, 1},                             // cmpsb
    {{0x48, 0x8d, 0x47, 0}, 4, 3, 1},              // leaq m, %rax: no access
    {{0x0f, 0x11, 0x47, 0}, 4, 3, 1},              // movups %xmm0, m
    {{0x0f, 0x10, 0x47, 0}, 4, 3, 1},              // movups m, %xmm0
    {{0x66, 0x0f, 0xd6, 0x47, 0}, 5, 4, 1},        // movq %xmm0, m
    {{0xdd, 0x47, 0}, 3, 2, 1},                    // fldl m
    {{0x0f, 0x18, 0x4f, 0}, 4, 3, 1},              // prefetcht0 m: none
};
enum { KINDS = sizeof insns / sizeof insns[0] };

struct work {
    uint8_t code[80];
    unsigned length;
    uint64_t rip[INSNS];
    uint64_t dr[4], dr7;
};

struct stop {
    uint64_t rip;
    unsigned hits;
};

struct stops {
    unsigned count;
    struct stop at[STOPS];
    uint64_t gpr[GPR_COUNT], end; // where it ended: at the hlt, or with a fault
};

// ---- Cases ----

static void add_insn(struct work *w, unsigned nth, uint64_t *rng)
{
    unsigned kind = (unsigned)rng_below(rng, KINDS);
    uint8_t *at = w->code + w->length;
    w->rip[nth] = INSN_AT + w->length;
    memcpy(at, insns[kind].bytes, insns[kind].length);
    if (insns[kind].disp)
        at[insns[kind].disp] = (uint8_t)(rng_below(rng, 48) / insns[kind].align * insns[kind].align);
    w->length += insns[kind].length;
}

static void add_breakpoint(struct work *w, unsigned n, uint64_t *rng)
{
    static const uint8_t codes[] = {0, 1, 3, 2}; // LEN of 1, 2, 4, 8
    bool code = rng_below(rng, 3) == 0;
    unsigned kind = code ? ON_EXECUTION : rng_below(rng, 2) ? ON_WRITE : ON_ACCESS;
    unsigned log = code ? 0 : (unsigned)rng_below(rng, 4);
    w->dr[n] = code ? w->rip[rng_below(rng, INSNS)] : (DATA - 16 + rng_below(rng, 96)) & ~0ull << log;
    w->dr7 |= 1ull << (2 * n) | (uint64_t)(kind | codes[log] << 2) << (16 + 4 * n);
}

static struct work make_work(uint64_t seed, uint64_t number)
{
    struct work w = {.length = 0};
    uint64_t mixed = seed, rng;
    mixed = rng_next(&mixed) + number;
    rng = rng_next(&mixed);
    for (unsigned i = 0; i < INSNS; i++)
        add_insn(&w, i, &rng);
    w.code[w.length] = 0xf4; // hlt: the end
    for (unsigned n = 0; n < 4; n++)
        if (n == 0 || rng_below(&rng, 2))
            add_breakpoint(&w, n, &rng);
    return w;
}

static void first_registers(uint64_t gpr[GPR_COUNT])
{
    for (unsigned i = 0; i < GPR_COUNT; i++)
        gpr[i] = i;
    gpr[RDI] = DATA;
    gpr[RSI] = DATA + 32;
    gpr[RSP] = DATA + 64;
    gpr[RBP] = DATA + 72;
}

// Data that is met and a breakpoint at the next instruction are two #DBs by their priorities (SDM vol. 3, table 6-2),
// but Intel's processors make one of them: here they always are.
static bool note_stop(struct stops *s, uint64_t rip, unsigned hits)
{
    if (s->count && s->at[s->count - 1].rip == rip) {
        s->at[s->count - 1].hits |= hits;
        return true;
    }
    if (s->count == STOPS)
        return false;
    s->at[s->count++] = (struct stop){rip, hits};
    return true;
}

// ---- The host: a child that is traced ----

static pid_t child;

static bool poke(unsigned dr, uint64_t v)
{
    return ptrace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg) + 8 * dr, v) == 0;
}

static uint64_t peek(unsigned dr)
{
    return (uint64_t)ptrace(PTRACE_PEEKUSER, child, offsetof(struct user, u_debugreg) + 8 * dr, 0);
}

static void host_give(const uint64_t gpr[GPR_COUNT])
{
    struct user_regs_struct r;
    ptrace(PTRACE_GETREGS, child, 0, &r);
    traced_give(&r, gpr, FLAG_FIXED1);
    ptrace(PTRACE_SETREGS, child, 0, &r);
    struct user_fpregs_struct f = {.cwd = 0x37f, .mxcsr = 0x1f80}; // as the engines begin
    ptrace(PTRACE_SETFPREGS, child, 0, &f);
}

static void host_take(uint64_t gpr[GPR_COUNT], uint64_t *rip)
{
    struct user_regs_struct r;
    ptrace(PTRACE_GETREGS, child, 0, &r);
    traced_take(&r, gpr);
    *rip = r.rip;
}

// False: the host does not let us.
static bool host_run(const struct work *w, struct stops *s)
{
    memset(s, 0, sizeof *s);
    memset((void *)WINDOW, 0x11, WINDOW_BYTES);
    memcpy((void *)INSN_AT, w->code, sizeof w->code);
    first_registers(s->gpr);
    host_give(s->gpr);
    bool set = poke(7, 0);
    for (unsigned n = 0; n < 4; n++)
        set = set && poke(n, w->dr[n]);
    if (!set || !poke(7, w->dr7))
        return false;
    for (;;) {
        int status;
        uint64_t rip;
        poke(6, 0);
        ptrace(PTRACE_CONT, child, 0, 0);
        if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
            return false;
        host_take(s->gpr, &rip);
        if (WSTOPSIG(status) != SIGTRAP)
            return WSTOPSIG(status) == SIGSEGV && (s->end = rip);
        if (!note_stop(s, rip, peek(6) & 0xf))
            return false;
    }
}

// ---- An engine ----

static bool engine_run(struct system *s, unsigned cpl, const struct work *w, struct stops *out)
{
    struct vcpu_state *at = &s->end;
    memset(out, 0, sizeof *out);
    memset(s->ram.base + SYS_WINDOW, 0x11, WINDOW_BYTES);
    memcpy(s->ram.base + SYS_CODE + (INSN_AT - CODE), w->code, sizeof w->code);
    *at = s->start[cpl == 3];
    first_registers(at->gpr);
    memcpy(at->dr, w->dr, sizeof at->dr);
    at->dr7 |= w->dr7;
    at->cr4 |= CR4_OSFXSR;
    for (;;) {
        enum vcpu_exit exit;
        at->dr6 = 0xffff0ff0;
        if (s->vcpu.engine->set_state(&s->vcpu, at))
            return false;
        do
            exit = s->vcpu.engine->run(&s->vcpu, 0);
        while (exit == VCPU_EXIT_KICK);
        s->vcpu.engine->get_state(&s->vcpu, at);
        memcpy(out->gpr, at->gpr, sizeof out->gpr);
        if (exit != VCPU_EXIT_HALT)
            return false;
        out->end = at->rip - 1; // the hlt itself, at CPL 0
        if (out->end == INSN_AT + w->length)
            return true;
        uint64_t frame = at->gpr[RSP] - SYSTEM, vector = (out->end - SYSTEM - SYS_HANDLERS) / 16;
        bool error = sys_has_error((int)vector);
        out->end = sys_get(s, frame + 8 * error);
        out->gpr[RSP] = sys_get(s, frame + 8 * error + 24);
        if (error)
            return true;
        unsigned hits = at->dr6 & 0xf;
        if (vector != VEC_DB || !note_stop(out, out->end, hits))
            return false;
        at->rip = out->end;
        at->rflags = sys_get(s, frame + 16);
        at->gpr[RSP] = out->gpr[RSP];
        memcpy(at->seg, s->start[cpl == 3].seg, sizeof at->seg);
        at->halted = false;
        for (unsigned n = 0; n < 4; n++)
            if ((hits >> n & 1) && (w->dr7 >> (16 + 4 * n) & 3) == ON_EXECUTION)
                at->rflags |= FLAG_RF;
    }
}

// ---- The judgement ----

static void say(const char *name, const struct stops *s)
{
    printf("#   %s:", name);
    for (unsigned i = 0; i < s->count; i++)
        printf(" %#x:%x", (unsigned)(s->at[i].rip - INSN_AT), s->at[i].hits);
    printf(" end %#x, rsp %+d\n", (unsigned)(s->end - INSN_AT), (int)(s->gpr[RSP] - DATA));
}

static bool same_stops(const struct stops *a, const struct stops *b)
{
    return a->count == b->count && a->end == b->end && !memcmp(a->at, b->at, a->count * sizeof a->at[0]) &&
           !memcmp(a->gpr, b->gpr, 8 * sizeof a->gpr[0]);
}

static void report(const struct work *w, uint64_t number, const struct stops *host, const char *name,
                   const struct stops *found)
{
    printf("# case %" PRIu64 ", dr7 %#" PRIx64 ", data %+d %+d %+d %+d, code", number, w->dr7, (int)(w->dr[0] - DATA),
           (int)(w->dr[1] - DATA), (int)(w->dr[2] - DATA), (int)(w->dr[3] - DATA));
    for (unsigned i = 0; i < w->length; i++)
        printf(" %02x", w->code[i]);
    printf("\n");
    say("host", host);
    say(name, found);
}

static struct {
    struct system system;
    const struct engine *engine;
    bool runs;
} subjects[] = {{.engine = &engine_interp}, {.engine = &engine_bt}};
enum { SUBJECTS = sizeof subjects / sizeof subjects[0] };

static unsigned failed, stopped;

static bool judge(uint64_t seed, uint64_t number)
{
    struct work w = make_work(seed, number);
    struct stops host, found;
    if (!host_run(&w, &host))
        return false;
    stopped += host.count > 0;
    for (unsigned i = 0; i < 2 * SUBJECTS; i++) {
        if (!subjects[i / 2].runs)
            continue;
        bool ended = engine_run(&subjects[i / 2].system, i % 2 ? 3 : 0, &w, &found);
        if ((!ended || !same_stops(&host, &found)) && failed++ < SHOWN)
            report(&w, number, &host, subjects[i / 2].engine->name, &found);
    }
    return true;
}

int main(int argc, char **argv)
{
    static const uint8_t read_only_page[PAGE];
    region_fix_layout(argv);
    const struct range range = range_from(argc, argv, DEFAULT_COUNT);
    uint64_t number = range.first, end = range.first + range.count;
    child = traced_memory() ? traced_child() : 0;
    if (!child) {
        SKIP("no child can be traced here");
        return 0;
    }
    for (unsigned i = 0; i < SUBJECTS; i++) {
        struct engine_info info;
        subjects[i].engine->probe(&info);
        subjects[i].runs =
            info.available && CHECK(sys_start(&subjects[i].system, subjects[i].engine, read_only_page, FPU_X87, NULL));
    }
    while (number < end && judge(range.seed, number))
        number++;
    kill(child, SIGKILL);
    if (number == range.first) {
        SKIP("the host gives no debug registers");
        return 0;
    }
    printf("# %" PRIu64 " cases, %u stopped, %u differ\n", number - range.first, stopped, failed);
    CHECK(number == end);
    CHECK(failed == 0);
    CHECK(range.count < 100 || stopped > range.count / 4);
    return check_done("breakpoints");
}
