// SPDX-License-Identifier: BSD-2-Clause
// 32-bit code in bt's compatibility mode against the host's CPU: short runs of instructions at random, in a child of
// ours under ptrace and in bt, translated and one by one; registers, flags, memory and where it ended must be the same.
//
// bt_compat [SEED [COUNT [FIRST]]]

#include "tests/cpu/system.h"
#include "tests/unit/check.h"
#include "tests/unit/range.h"
#include "tests/unit/traced.h"

enum { DEFAULT_COUNT = 2000, SHOWN = 10, MOST_INSNS = 4 };
enum { HOST_CS32 = 0x23, HOST_DS = 0x2b, SYS_CS32 = 0x43 };
#define DATA (WINDOW + 0x800)

#define F_MUL (FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF)
#define F_ASCII (FLAG_OF | FLAG_SF | FLAG_ZF | FLAG_PF)
#define F_BIT (FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF)

// undefined: flags that the manual leaves so; such an instruction is the last one of its case.
static const struct {
    uint8_t bytes[9], length;
    uint16_t undefined;
} insns[] = {
    {{0x40}, 1, 0}, // inc %eax, and dec: REX in 64-bit mode
    {{0x47}, 1, 0},
    {{0x49}, 1, 0},
    {{0x4d}, 1, 0},
    {{0x66, 0x42}, 2, 0},
    {{0x82, 0xc0, 0x7f}, 3, 0}, // add $0x7f, %al, as 80 is
    {{0x82, 0x2b, 0x11}, 3, 0},
    {{0x01, 0x03}, 2, 0}, // add %eax, (%ebx)
    {{0x66, 0x29, 0x4b, 0x06}, 4, 0},
    {{0x00, 0xe0}, 2, 0},
    {{0x88, 0x23}, 2, 0}, // mov %ah, (%ebx)
    {{0x8a, 0x63, 0x05}, 3, 0},
    {{0x86, 0x23}, 2, 0},                         // xchg %ah, (%ebx)
    {{0x8b, 0x44, 0x8b, 0x10}, 4, 0},             // mov 16(%ebx,%ecx,4), %eax
    {{0x8b, 0x05, 0x00, 0x08, 0x01, 0x10}, 6, 0}, // mov DATA, %eax: relative to rip in 64-bit mode
    {{0x89, 0x15, 0x10, 0x08, 0x01, 0x10}, 6, 0},
    {{0xa1, 0x04, 0x08, 0x01, 0x10}, 5, 0}, // mov DATA + 4, %eax: an address of 8 bytes there
    {{0xa2, 0x09, 0x08, 0x01, 0x10}, 5, 0},
    {{0x66, 0xa3, 0x0e, 0x08, 0x01, 0x10}, 6, 0},
    {{0x8d, 0x84, 0x8b, 0x78, 0x56, 0x34, 0x12}, 7, 0}, // lea
    {{0x66, 0x8d, 0x54, 0x8b, 0x12}, 5, 0},
    {{0x67, 0x8d, 0x40, 0x05}, 4, 0},       // lea 5(%bx,%si), %eax
    {{0x67, 0x8d, 0x16, 0x34, 0x12}, 5, 0}, // lea 0x1234, %edx
    {{0x67, 0x8b, 0x0f}, 3, 0},             // mov (%bx), %ecx: nothing is mapped there
    {{0x2e, 0x8b, 0x03}, 3, 0},             // mov %cs:(%ebx), %eax
    {{0x36, 0x01, 0x43, 0x10}, 4, 0},       // add %eax, %ss:16(%ebx)
    {{0x50}, 1, 0},
    {{0x54}, 1, 0},
    {{0x58}, 1, 0},
    {{0x5d}, 1, 0},
    {{0x66, 0x50}, 2, 0},
    {{0x66, 0x5a}, 2, 0},
    {{0x6a, 0xfb}, 2, 0},
    {{0x68, 0x78, 0x56, 0x34, 0x92}, 5, 0},
    {{0xff, 0x33}, 2, 0},
    {{0x8f, 0x43, 0x20}, 3, 0},
    {{0x8f, 0x44, 0x24, 0x08}, 4, 0}, // pop 8(%esp), by the new esp
    {{0x60}, 1, 0},                   // pusha
    {{0x61}, 1, 0},
    {{0x66, 0x60}, 2, 0},
    {{0x66, 0x61}, 2, 0},
    {{0xc9}, 1, 0},
    {{0xc8, 0x08, 0x00, 0x02}, 4, 0},
    {{0xe8, 0x00, 0x00, 0x00, 0x00}, 5, 0}, // call what follows
    {{0xeb, 0x00}, 2, 0},
    {{0x75, 0x00}, 2, 0},
    {{0x72, 0x01, 0x40}, 3, 0}, // jc over an inc
    {{0xe2, 0x00}, 2, 0},
    {{0xe1, 0x01, 0x40}, 3, 0},
    {{0xe3, 0x01, 0x40}, 3, 0},
    {{0x67, 0xe3, 0x01, 0x40}, 4, 0}, // jcxz
    {{0x67, 0xe2, 0x01, 0x40}, 4, 0},
    {{0x27}, 1, FLAG_OF},
    {{0x2f}, 1, FLAG_OF},
    {{0x37}, 1, F_ASCII},
    {{0x3f}, 1, F_ASCII},
    {{0xd4, 0x0a}, 2, FLAG_OF | FLAG_AF | FLAG_CF},
    {{0xd4, 0x07}, 2, FLAG_OF | FLAG_AF | FLAG_CF},
    {{0xd4, 0x00}, 2, 0}, // #DE
    {{0xd5, 0x0a}, 2, FLAG_OF | FLAG_AF | FLAG_CF},
    {{0xd6}, 1, 0},
    {{0x63, 0xc8}, 2, 0}, // arpl %cx, %ax
    {{0x63, 0x0b}, 2, 0},
    {{0x62, 0x03}, 2, 0}, // bound %eax, (%ebx)
    {{0xce}, 1, 0},       // into
    {{0xa4}, 1, 0},
    {{0xa5}, 1, 0},
    {{0xf3, 0xa4}, 2, 0},
    {{0xf3, 0x66, 0xab}, 3, 0},
    {{0xac}, 1, 0},
    {{0xa6}, 1, 0},
    {{0xae}, 1, 0},
    {{0xf2, 0xae}, 2, 0},
    {{0xd7}, 1, 0}, // xlat
    {{0x0f, 0xb1, 0x0b}, 3, 0},
    {{0xf0, 0x0f, 0xc7, 0x0b}, 4, 0}, // lock cmpxchg8b (%ebx)
    {{0xf0, 0x0f, 0xc1, 0x03}, 4, 0},
    {{0xf7, 0xf1}, 2, FLAGS_ARITH},
    {{0xf7, 0x3b}, 2, FLAGS_ARITH},
    {{0x0f, 0xaf, 0xc1}, 3, F_MUL},
    {{0x69, 0x03, 0x78, 0x56, 0x34, 0x12}, 6, F_MUL},
    {{0x0f, 0xba, 0x2b, 0x05}, 4, F_BIT},
    {{0x0f, 0xa3, 0x0b}, 3, F_BIT}, // bt %ecx, (%ebx)
    {{0xc1, 0x03, 0x05}, 3, FLAG_OF},
    {{0x0f, 0xa4, 0xc8, 0x03}, 4, FLAG_OF | FLAG_AF},
    {{0xc4, 0xe2, 0x70, 0xf2, 0xc3}, 5, FLAG_AF | FLAG_PF}, // andn %ebx, %ecx, %eax
    {{0xc4, 0xe2, 0xf0, 0xf2, 0x03}, 5, FLAG_AF | FLAG_PF}, // the same with VEX.W, which says nothing here
    {{0xc4, 0xe2, 0x6b, 0xf6, 0xc6}, 5, 0},                 // mulx
    {{0x98}, 1, 0},
    {{0x99}, 1, 0},
    {{0x66, 0x98}, 2, 0},
    {{0x0f, 0xb6, 0xc4}, 3, 0},
    {{0x9f}, 1, 0},
    {{0x9e}, 1, 0},
    {{0xf5}, 1, 0},
    {{0x0f, 0xc9}, 2, 0},
    {{0x0f, 0x0b}, 2, 0},
    {{0xf1}, 1, 0},
    {{0x0f, 0x01, 0xf8}, 3, 0}, // swapgs: not here
    {{0xc4, 0x03}, 2, 0},       // les: the selector is whatever lies there
};
enum { KINDS = sizeof insns / sizeof insns[0] };

struct work {
    uint8_t code[64];
    unsigned length, undefined;
    uint64_t gpr[GPR_COUNT], flags;
};

struct end {
    uint64_t gpr[8], flags, rip;
    int vector;
};

static struct work make_work(uint64_t seed, uint64_t number)
{
    struct work w = {.length = 0};
    uint64_t mixed = seed, rng;
    mixed = rng_next(&mixed) + number;
    rng = rng_next(&mixed);
    for (unsigned i = 0, n = 1 + (unsigned)rng_below(&rng, MOST_INSNS); i < n && !w.undefined; i++) {
        unsigned kind = (unsigned)rng_below(&rng, KINDS);
        memcpy(w.code + w.length, insns[kind].bytes, insns[kind].length);
        w.length += insns[kind].length;
        w.undefined = insns[kind].undefined;
    }
    w.code[w.length] = 0xf4; // hlt: the end
    for (unsigned i = 0; i < 8; i++)
        w.gpr[i] = rng_below(&rng, 2) ? (uint32_t)rng_next(&rng) : rng_below(&rng, 300);
    w.gpr[RCX] = rng_below(&rng, 20);
    w.gpr[RBX] = DATA + rng_below(&rng, 64), w.gpr[RSI] = DATA + 64 + rng_below(&rng, 64);
    w.gpr[RDI] = DATA + 128 + rng_below(&rng, 64);
    w.gpr[RSP] = DATA + 256 + rng_below(&rng, 64), w.gpr[RBP] = w.gpr[RSP] + rng_below(&rng, 64);
    w.flags = FLAG_FIXED1 | (rng_next(&rng) & (FLAGS_ARITH | FLAG_DF));
    return w;
}

// ---- The host: a child that is traced ----

static pid_t child;

static bool host_start(void)
{
    if (!traced_memory())
        return false;
    make_pattern((uint8_t *)WINDOW, WINDOW_BYTES);
    mprotect((void *)(WINDOW + WINDOW_RW), PAGE, PROT_READ);
    return (child = traced_child());
}
static int vector_of_signal(int number)
{
    siginfo_t info;
    ptrace(PTRACE_GETSIGINFO, child, 0, &info);
    switch (number) {
    case SIGILL:
        return VEC_UD;
    case SIGFPE:
        return VEC_DE;
    case SIGTRAP:
        return VEC_DB;
    default:
        return info.si_code == SEGV_MAPERR || info.si_code == SEGV_ACCERR ? VEC_PF : VEC_GP;
    }
}

static bool host_run(const struct work *w, struct end *e)
{
    struct user_regs_struct r;
    int status;
    memset(e, 0, sizeof *e);
    memcpy((void *)INSN_AT, w->code, sizeof w->code);
    ptrace(PTRACE_GETREGS, child, 0, &r);
    traced_give(&r, w->gpr, w->flags);
    r.cs = HOST_CS32, r.ss = r.ds = r.es = HOST_DS;
    ptrace(PTRACE_SETREGS, child, 0, &r);
    ptrace(PTRACE_CONT, child, 0, 0);
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        return false;
    ptrace(PTRACE_GETREGS, child, 0, &r);
    traced_take(&r, e->gpr);
    e->rip = r.rip, e->flags = r.eflags;
    e->vector = vector_of_signal(WSTOPSIG(status));
    return true;
}

// ---- bt ----

static bool bt_start(struct system *s)
{
    static const uint8_t read_only_page[PAGE];
    if (!sys_start(s, &engine_bt, read_only_page, FPU_X87, NULL))
        return false;
    make_pattern(s->ram.base + SYS_WINDOW, WINDOW_BYTES);
    sys_put(s, SYS_GDT + (SYS_CS32 & ~3), 0x00cffb000000ffff);
    s->ram.base[SYS_IDT + VEC_OF * 16 + 5] |= SEG_DPL; // for into
    s->start[1].seg[SEG_CS] = sys_flat(SYS_CS32, SEG_S | SEG_P | SEG_DB | SEG_G | 0xb | SEG_DPL);
    return true;
}

// Into, bound and a far pointer's faults are all SIGSEGV to the host, as a general protection fault is.
static int as_host_says(int vector)
{
    return vector == VEC_OF || vector == VEC_BR || vector == VEC_NP || vector == VEC_SS ? VEC_GP : vector;
}

static bool bt_run(struct system *s, const struct work *w, bool step, struct end *e)
{
    struct vcpu_state *at = &s->end;
    enum vcpu_exit exit;
    memset(e, 0, sizeof *e);
    memcpy(s->ram.base + SYS_CODE + (INSN_AT - CODE), w->code, sizeof w->code);
    *at = s->start[1];
    memcpy(at->gpr, w->gpr, sizeof at->gpr);
    at->rflags = w->flags;
    if (engine_bt.set_state(&s->vcpu, at))
        return false;
    do
        exit = engine_bt.run(&s->vcpu, step ? 1 : 0);
    while (exit == VCPU_EXIT_KICK || exit == VCPU_EXIT_BUDGET);
    engine_bt.get_state(&s->vcpu, at);
    e->vector = (int)((at->rip - 1 - SYSTEM - SYS_HANDLERS) / 16);
    uint64_t frame = at->gpr[RSP] - SYSTEM + 8 * sys_has_error(e->vector);
    memcpy(e->gpr, at->gpr, sizeof e->gpr);
    e->rip = sys_get(s, frame), e->flags = sys_get(s, frame + 16), e->gpr[RSP] = sys_get(s, frame + 24);
    e->vector = as_host_says(e->vector);
    return exit == VCPU_EXIT_HALT;
}

// ---- The judgement ----

static bool same_end(const struct work *w, const struct end *a, const struct end *b)
{
    for (unsigned i = 0; i < 8; i++)
        if ((uint32_t)a->gpr[i] != (uint32_t)b->gpr[i])
            return false;
    uint64_t flags = (FLAGS_ARITH | FLAG_DF) & ~(uint64_t)w->undefined;
    return a->rip == b->rip && a->vector == b->vector && !((a->flags ^ b->flags) & flags);
}

static void say(const char *name, const struct end *e)
{
    printf("#   %s: vector %d at %+d flags %#x", name, e->vector, (int)(e->rip - INSN_AT), (unsigned)e->flags);
    for (unsigned i = 0; i < 8; i++)
        printf(" %x", (unsigned)e->gpr[i]);
    printf("\n");
}

static void report(const struct work *w, uint64_t number, const struct end *host, const struct end *bt, bool step)
{
    printf("# case %" PRIu64 "%s, code", number, step ? ", one by one" : "");
    for (unsigned i = 0; i < w->length; i++)
        printf(" %02x", w->code[i]);
    printf(", flags %#x\n", (unsigned)w->flags);
    say("host", host);
    say("bt", bt);
}

static unsigned failed, faults;

static bool judge(struct system *s, uint64_t seed, uint64_t number)
{
    struct work w = make_work(seed, number);
    uint8_t *window = s->ram.base + SYS_WINDOW;
    struct end host, bt;
    make_pattern((uint8_t *)WINDOW, WINDOW_RW);
    if (!host_run(&w, &host))
        return false;
    faults += host.rip != INSN_AT + w.length;
    for (unsigned step = 0; step < 2; step++) {
        make_pattern(window, WINDOW_RW);
        bool well = bt_run(s, &w, step, &bt) && same_end(&w, &host, &bt);
        if ((!well || memcmp(window, (void *)WINDOW, WINDOW_RW)) && failed++ < SHOWN)
            report(&w, number, &host, &bt, step);
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct system s;
    struct engine_info info;
    region_fix_layout(argv);
    const struct range range = range_from(argc, argv, DEFAULT_COUNT);
    uint64_t number = range.first, end = range.first + range.count;
    engine_bt.probe(&info);
    if (!info.available || !host_start()) {
        SKIP(info.available ? "no child can be traced here" : info.reason);
        return 0;
    }
    if (!CHECK(bt_start(&s)))
        return check_done("bt_compat");
    while (number < end && judge(&s, range.seed, number))
        number++;
    kill(child, SIGKILL);
    printf("# %" PRIu64 " cases, %u faults, %u differ\n", number - range.first, faults, failed);
    CHECK(number == end);
    CHECK(failed == 0);
    CHECK(range.count < 1000 || faults > 0);
    sys_stop(&s);
    return check_done("bt_compat");
}
