// SPDX-License-Identifier: BSD-2-Clause
// Hostile programs in processes for directly executed code. Whatever one does: the monitor goes on, the program is left
// by a system call, a fault or a kick, nothing is mapped in its process that was not commanded, it has never seen the
// process's secret, and the other processes are as they were.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engines/bt/process_inside.h"
#include "tests/unit/process_fixture.h"

#define TEXT_SIZE ((uint64_t)(process_stub_end - process_stub))
#define STRING(x) STRING_(x)
#define STRING_(x) #x

// A program at CODE, in assembly; it may use the names in process_inside.h. Ends where the next one begins.
#define PROGRAM(name, text)                                                                                            \
    __asm__(".pushsection .rodata\n" #name ": " text "\n" #name "_end: .popsection");                                  \
    extern const uint8_t name[], name##_end[]
#define LOAD(f, name) start(f, 0, name, (size_t)(name##_end - name))
#define TOLD STRING(WINDOW) " + " STRING(IN_TOLD)
#define STATE STRING(WINDOW) " + " STRING(IN_STATE)

// ---- What must hold afterwards ----

static bool expected(uint64_t from, uint64_t to)
{
    static const struct {
        uint64_t from, to;
    } mapped[] = {{CODE, CODE + PAGE},
                  {DATA, DATA + 4 * PAGE},
                  {WINDOW + IN_TEXT, WINDOW + IN_TEXT + TEXT_BYTES},
                  {WINDOW + IN_SHARED, WINDOW + IN_STATE},
                  {WINDOW + IN_STATE, WINDOW + IN_SHARED + SHARED_BYTES},
                  {0xffffffffff600000, 0xffffffffff601000}};
    for (unsigned i = 0; i < sizeof mapped / sizeof mapped[0]; i++)
        if (from == mapped[i].from && to == mapped[i].to)
            return true;
    printf("# mapped: %#" PRIx64 " to %#" PRIx64 "\n", from, to);
    return false;
}

// All that start() maps, and all that stands in the window, with the rights it had.
static void check_maps(const struct process *p)
{
    char name[40], line[300], rights[5];
    uint64_t from, to;
    unsigned own = 0;
    snprintf(name, sizeof name, "/proc/%d/maps", p->pid);
    FILE *maps = fopen(name, "re");
    while (CHECK(maps) && fgets(line, sizeof line, maps)) {
        CHECK(sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &from, &to, rights) == 3);
        CHECK(expected(from, to));
        own += from == CODE && strcmp(rights, "r-xs") == 0;
        own += from == DATA && strcmp(rights, "rw-s") == 0;
        own += from == WINDOW + IN_TEXT && strcmp(rights, "r-xp") == 0;
        own += from == WINDOW + IN_SHARED && strcmp(rights, "r--s") == 0;
        own += from == WINDOW + IN_STATE && strcmp(rights, "rw-s") == 0;
    }
    CHECK_EQ(own, 5);
    if (maps)
        fclose(maps);
}

// The secret, as the stub has it in registers for any of its calls.
static bool is_secret(const struct process *p, uint64_t value)
{
    uint32_t low = (uint32_t)value;
    return (value >> 32 == p->secret[0] || value >> 32 == p->secret[1]) &&
           (low == 0 || low == (MAP_SHARED | MAP_FIXED) || low == (MAP_SHARED | MAP_FIXED | MAP_POPULATE));
}

static void check_secret(const struct fixture *f, const struct process *p)
{
    bool seen = false;
    for (unsigned i = 0; i < SHARED_BYTES; i += 8)
        seen |= is_secret(p, *(const uint64_t *)(p->shared + i));
    for (unsigned i = 0; i < GPR_COUNT; i++)
        seen |= is_secret(p, f->regs.gpr[i]);
    CHECK_SAY(!seen, "the secret has not been left anywhere");
}

static void check_others(struct fixture *f)
{
    START(f, 1, SYSCALL, SYSCALL);
    CHECK_EQ(run(f, at_index(f, 1)), PROCESS_SYSCALL);
    CHECK_EQ(run(f, at_index(f, 1)), PROCESS_SYSCALL);
}

// Runs until something happens, for 3 ms.
static enum process_stop try(struct fixture *f, struct process *p)
{
    struct kicker k;
    kicks_begin(&k, f, 3000, 1);
    enum process_stop stop = run(f, p);
    kicks_end(&k);
    f->attention = 0;
    CHECK(stop == PROCESS_SYSCALL || stop == PROCESS_EXCEPTION || stop == PROCESS_KICKED);
    check_secret(f, p);
    return stop;
}

static void check_all(struct fixture *f, struct process *p)
{
    check_maps(p);
    check_others(f);
    START(f, 0, SYSCALL); // the very process as well
    CHECK_EQ(run(f, p), PROCESS_SYSCALL);
    CHECK_EQ(f->regs.rip, CODE + 2);
}

static uint64_t data(const struct fixture *f, unsigned i)
{
    return ((const uint64_t *)(f->ram.base + DATA_AT))[i];
}

// ---- System calls ----

static void check_numbers(struct fixture *f)
{
    static const uint64_t numbers[] = {0,   1,   9,   10,  11,  13,  14,         15,   39,        56,
                                       57,  59,  60,  62,  101, 131, 157,        158,  202,       231,
                                       310, 317, 334, 335, 336, 424, 0x40000001, 4711, UINT64_MAX};
    struct process *p = START(f, 0, SYSCALL, JUMP_BACK(2));
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        f->regs.gpr[RAX] = numbers[i];
        CHECK_EQ(run(f, p), PROCESS_SYSCALL);
        CHECK_EQ(f->regs.gpr[RAX], numbers[i]);
    }
    check_all(f, p);
}

static void check_other_ways(struct fixture *f)
{
    struct process *p = START(f, 0, 0x0f, 0x34); // sysenter
    CHECK_EQ(run(f, p), PROCESS_EXCEPTION);
    p = START(f, 0, 0xcd, 0x80); // int 0x80
    f->regs.gpr[RAX] = 1;
    CHECK_EQ(run(f, p), PROCESS_EXCEPTION);
    CHECK_EQ(f->info.vector, VEC_UD);
    CHECK_EQ(f->regs.rip, CODE);
    p = START(f, 0, 0xff, 0xd0); // call rax: the host's vsyscall page
    f->regs.gpr[RAX] = 0xffffffffff600400;
    f->regs.gpr[RSP] = DATA + PAGE;
    f->regs.gpr[RDI] = 0;
    CHECK_EQ(run(f, p), PROCESS_EXCEPTION);
    CHECK_EQ(f->regs.rip, 0xffffffffff600400);
    CHECK_EQ(f->regs.gpr[RSP], DATA + PAGE - 8);
    CHECK_EQ(data(f, PAGE / 8 - 1), CODE + 2);
    check_all(f, p);
}

// Those in the stub itself, with what guest code would like to ask for.
static void check_stub_calls(struct fixture *f)
{
    static const uint8_t *const places[] = {
        process_stub_did_arm,  process_stub_did_unblock, process_stub_did_late_arm,    process_stub_did_say,
        process_stub_did_wait, process_stub_did_call,    process_stub_did_late_unblock};
    static const struct {
        uint64_t number, arg[6];
    } calls[] = {
        {SYS_mmap, {0x900000, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, FD_RAM, 0}},
        {SYS_mmap, {0x900000, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, ~0ull, 0}},
        {SYS_munmap, {CODE, PAGE}},
        {SYS_munmap, {WINDOW + IN_STATE, PAGE}},
        {SYS_mprotect, {WINDOW + IN_TEXT, TEXT_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC}},
        {SYS_mprotect, {WINDOW + IN_TOLD, PAGE, PROT_READ | PROT_WRITE}},
        {SYS_mremap, {CODE, PAGE, 2 * PAGE, 1}},
        {SYS_prctl, {59, 0}}, // PR_SET_SYSCALL_USER_DISPATCH, off
        {SYS_seccomp, {0}},
        {SYS_rt_sigreturn, {0}},
        {SYS_rt_sigaction, {SIGSEGV, 0, 0, 8}},
        {SYS_rt_sigprocmask, {SIG_SETMASK, CODE, 0, 8}},
        {SYS_sigaltstack, {DATA, 0}},
        {SYS_write, {FD_SAID, DATA, 8}},
        {SYS_write, {FD_RAM, DATA, 8}},
        {SYS_read, {FD_SAID, DATA, 8}},
        {SYS_close, {FD_SAID}},
        {SYS_futex, {DATA, 0, 0}},
        {SYS_exit, {0}},
        {SYS_exit_group, {0}},
        {SYS_fork, {0}},
        {SYS_kill, {0, SIGKILL}},
        {335, {0}},
        {336, {0}},
    };
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++)
        for (unsigned n = 0; n < sizeof calls / sizeof calls[0]; n++) {
            struct process *p = START(f, 0, SYSCALL);
            const uint64_t *arg = calls[n].arg;
            f->regs.gpr[RAX] = calls[n].number;
            f->regs.gpr[RDI] = arg[0];
            f->regs.gpr[RSI] = arg[1];
            f->regs.gpr[RDX] = arg[2];
            f->regs.gpr[R10] = arg[3];
            f->regs.gpr[R8] = arg[4];
            f->regs.gpr[R9] = arg[5];
            f->regs.rip = process_stub_at(places[i]) - 2;
            try(f, p);
            check_maps(p);
        }
    check_all(f, at_index(f, 0));
}

// ---- Jumps into the stub, to every byte of it ----

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

// Of the kinds that the stub's code might make something of.
static uint64_t hostile_value(uint64_t *state)
{
    uint64_t r = next_random(state);
    switch (r >> 60) {
    case 0:
    case 1:
        return WINDOW + IN_STATE + (r & 0x17ff8);
    case 2:
        return WINDOW + IN_TEXT + r % TEXT_SIZE;
    case 3:
        return DATA + (r & 0x3ff8);
    case 4:
        return r & 0xff;
    case 5:
        return WINDOW + IN_STATE + S_ECHO;
    default:
        return r;
    }
}

static void check_jumps(struct fixture *f, uint64_t seed)
{
    uint64_t state = seed;
    for (uint64_t to = 0; to < TEXT_SIZE; to++) {
        struct process *p = START(f, 0, SYSCALL);
        for (unsigned i = 0; i < GPR_COUNT; i++)
            f->regs.gpr[i] = hostile_value(&state);
        for (unsigned i = 0; i < PAGE / 8; i++) // what else it finds in its own page
            if (i == S_SLEEPS / 8)
                p->state->late = (uint32_t)hostile_value(&state); // the rest is the stub's, which waits just now
            else
                ((uint64_t *)p->state)[i] = hostile_value(&state);
        f->regs.rip = WINDOW + IN_TEXT + to;
        try(f, p);
        check_maps(p);
    }
    check_all(f, at_index(f, 0));
}

// ---- Playing with the protocol ----

// Answers for the stub, as far as memory goes, looks for the secret all the time, and counts.
PROGRAM(forger,
        "1: movabs " TOLD
        " + " STRING(T_GO) ", %rax\n"
                           "movabs %rax, " STATE
                           " + " STRING(S_HINT) "\n"
                                                "movabs %rax, " STATE " + " STRING(
                                                    S_DONE) "\n"
                                                            "movabs %rax, " STATE " + " STRING(
                                                                S_ECHO) "\n"
                                                                        "movabs $" STATE " + " STRING(
                                                                            S_STOPS) ", %rbx\n"
                                                                                     "incl (%rbx)\n"
                                                                                     "movabs " TOLD " + " STRING(
                                                                                         T_SECRET) ", %rax\n"
                                                                                                   "or %rax, 0x600000\n"
                                                                                                   "incq 0x600008\n"
                                                                                                   "jmp 1b");

static void check_forger(struct fixture *f)
{
    struct process *p = LOAD(f, forger);
    ((uint64_t *)(f->ram.base + DATA_AT))[0] = 0;
    ((uint64_t *)(f->ram.base + DATA_AT))[1] = 0;
    for (unsigned i = 0; i < 20 || (i < 2000 && !data(f, 1)); i++) { // until it has had a CPU
        queue(p, PROCESS_MAP, 0x900000 + (i & 1) * PAGE, PAGE, 0x300000, PROT_READ);
        queue(p, PROCESS_UNMAP, 0x900000, 2 * PAGE, 0, 0);
        uint64_t before = data(f, 1);
        CHECK_EQ(try(f, p), PROCESS_KICKED);
        CHECK(f->regs.rip - CODE < PAGE);
        CHECK(data(f, 1) >= before);
        uint64_t stopped = data(f, 1);
        usleep(500);
        CHECK_EQ(data(f, 1), stopped); // it does not run on
    }
    CHECK(data(f, 1) > 0);
    CHECK_EQ(data(f, 0), 0);
    check_all(f, p);
}

// The stub's own way to the eventfd, but for a number of its choice; all else in place.
#define SAY(number)                                                                                                    \
    number "\nmovabs %rax, " STATE                                                                                     \
           " + " STRING(S_ECHO) "\n"                                                                                   \
                                "movabs $" STATE                                                                       \
                                " + " STRING(S_ECHO) ", %rsi\n"                                                        \
                                                     "mov $1, %edi; mov $8, %edx; mov $1, %eax; xor %r12d, %r12d\n"
PROGRAM(liar, SAY("mov $12345, %eax") "jmp *%rbp");
PROGRAM(liar_max, SAY("mov $-2, %rax") "jmp *%rbp");
PROGRAM(parker, SAY("movabs " TOLD " + " STRING(T_GO) ", %rax") "jmp *%rbp"); // the right one
// The right one, with a trap behind the stub's system call: iretq sets TF as it goes there.
PROGRAM(stepper, SAY("movabs " TOLD " + " STRING(T_GO) ", %rax") //
        "mov %ss, %ecx; push %rcx; push %rsp; push $0x302; mov %cs, %ecx; push %rcx; push %rbp; iretq");

static void check_one_liar(struct fixture *f, const uint8_t *code, size_t bytes)
{
    for (unsigned i = 0; i < 3; i++) {
        struct process *p = start(f, 0, code, bytes);
        queue(p, PROCESS_MAP, 0x900000, PAGE, 0x300000, PROT_READ);
        queue(p, PROCESS_UNMAP, 0x900000, PAGE, 0, 0);
        f->regs.gpr[RBP] = process_stub_at(process_stub_did_say) - 2;
        f->regs.gpr[RSP] = DATA + PAGE;
        try(f, p);
        queue(p, PROCESS_MAP, 0x900000, PAGE, 0x300000, PROT_READ); // carried out by the stub all the same
        queue(p, PROCESS_UNMAP, 0x900000, PAGE, 0, 0);
        try(f, p);
        check_all(f, p);
    }
}

// Loops that are made of the stub's code alone: kicks find the stub, whatever they do.
static void check_loops(struct fixture *f)
{
    const uint64_t late = process_stub_at(process_stub_did_late_unblock);
    struct process *p = START(f, 0, SYSCALL);
    f->regs.rip = late;
    enum process_stop stop = PROCESS_KICKED;
    for (unsigned i = 0; i < 20 && stop == PROCESS_KICKED; i++) { // a kick may come before it gets there
        p->state->late_rip = late;
        p->state->late_rflags = 0x202;
        stop = try(f, p);
    }
    CHECK_EQ(stop, PROCESS_EXCEPTION);
    CHECK_EQ(f->info.vector, VEC_PF);
    check_all(f, p);
    p = START(f, 0, SYSCALL); // waiting for another message than the last one
    f->regs.rip = process_stub_at(process_stub_did_say);
    try(f, p);
    check_all(f, p);
}

// ---- Stacks, flags, memory ----

PROGRAM(messer, "movabs $" STATE ", %rdi; mov $0x18000, %ecx; mov $0xff, %al; rep stosb; int3; syscall");
PROGRAM(tracer, "mov $0x600800, %esp; pushf; orl $0x100, (%rsp); popf; syscall; nop");
PROGRAM(aligner, "mov $0x600800, %esp; pushf; orl $0x40000, (%rsp); popf; syscall; ud2");

static void check_bad_stacks(struct fixture *f)
{
    struct process *p = START(f, 0, SYSCALL, JUMP_BACK(2));
    static const uint64_t stacks[] = {0,
                                      8,
                                      ~0ull,
                                      0x8000000000000000,
                                      0xffffffff80000000,
                                      WINDOW,
                                      WINDOW + IN_STATE,
                                      WINDOW + IN_STACK_A,
                                      WINDOW + IN_STACK_A + 1,
                                      WINDOW + IN_STACK_A + 128,
                                      WINDOW + IN_STACK_A + STACK_BYTES,
                                      WINDOW + IN_STACK_B,
                                      WINDOW + IN_STACK_B + 1,
                                      WINDOW + IN_STACK_B + 300,
                                      WINDOW + IN_STACK_B + STACK_BYTES,
                                      WINDOW + IN_STACK_B + STACK_BYTES - 1};
    for (unsigned i = 0; i < sizeof stacks / sizeof stacks[0]; i++)
        for (unsigned again = 0; again < 3; again++) { // on both of the stub's stacks
            f->regs.gpr[RSP] = stacks[i];
            CHECK_EQ(run(f, p), PROCESS_SYSCALL);
            CHECK_EQ(f->regs.gpr[RSP], stacks[i]);
        }
    check_all(f, p);
}

static void check_messer(struct fixture *f)
{
    struct process *p = LOAD(f, messer);
    CHECK_EQ(run(f, p), PROCESS_EXCEPTION);
    CHECK_EQ(f->info.vector, VEC_BP);
    CHECK_EQ(run(f, p), PROCESS_SYSCALL);
    check_all(f, p);
}

static void check_flags(struct fixture *f)
{
    struct process *p = LOAD(f, tracer);
    CHECK_EQ(run(f, p), PROCESS_SYSCALL); // the instruction behind popf still runs
    CHECK(f->regs.rflags & FLAG_TF);
    p = LOAD(f, aligner);
    CHECK_EQ(run(f, p), PROCESS_SYSCALL);
    CHECK(f->regs.rflags & FLAG_AC);
    CHECK_EQ(run(f, p), PROCESS_EXCEPTION);
    CHECK_EQ(f->info.vector, VEC_UD);
    check_all(f, p);
}

// ---- From outside ----

static void check_killed(struct fixture *f)
{
    struct process *p = START(f, 2, JUMP_BACK(0));
    int pid = p->pid;
    if (fork() == 0) {
        usleep(20000);
        kill(pid, SIGKILL);
        _exit(0);
    }
    CHECK_EQ(process_run(p, &f->regs, &f->attention, &f->info), PROCESS_DIED);
    CHECK(strstr(process_died(f->pool), "killed by signal 9") != NULL);
    CHECK_EQ(process_run(p, &f->regs, &f->attention, &f->info), PROCESS_DIED);
    check_others(f);
    wait(NULL);
}

// A monitor that is killed leaves nobody behind: all of its processes end, the one that runs as well.
static void check_orphans(void)
{
    int pids[2], ends[2];
    CHECK(pipe(ends) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    pid_t monitor = fork();
    if (monitor == 0) {
        struct fixture f;
        set_up(&f, 2);
        struct process *p = START(&f, 0, JUMP_BACK(0));
        for (unsigned i = 0; i < 2; i++)
            pids[i] = at_index(&f, i)->pid;
        if (write(ends[1], pids, sizeof pids) == sizeof pids)
            run(&f, p);
        _exit(1);
    }
    CHECK(read(ends[0], pids, sizeof pids) == sizeof pids);
    usleep(10000);
    kill(monitor, SIGKILL);
    CHECK(waitpid(monitor, NULL, 0) == monitor);
    for (unsigned i = 0; i < 2; i++) {
        int status = 0;
        CHECK(waitpid(pids[i], &status, 0) == pids[i]);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
}

#define SEED 0x123456789abcdef

int main(int argc, char **argv) // may be given another seed
{
    struct fixture f;
    setvbuf(stdout, NULL, _IOLBF, 0);
    set_up(&f, 3);
    check_numbers(&f);
    check_other_ways(&f);
    check_bad_stacks(&f);
    check_flags(&f);
    check_messer(&f);
    check_loops(&f);
    check_one_liar(&f, liar, (size_t)(liar_end - liar));
    check_one_liar(&f, liar_max, (size_t)(liar_max_end - liar_max));
    check_one_liar(&f, parker, (size_t)(parker_end - parker));
    check_one_liar(&f, stepper, (size_t)(stepper_end - stepper));
    check_forger(&f);
    check_stub_calls(&f);
    check_jumps(&f, argc > 1 ? strtoull(argv[1], NULL, 0) | 1 : SEED);
    check_killed(&f);
    tear_down(&f);
    check_orphans();
    return check_done("bt_process_attack");
}
