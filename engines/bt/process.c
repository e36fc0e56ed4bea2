// SPDX-License-Identifier: BSD-2-Clause
// The monitor's half of direct execution: messages to the stub of a process, waiting for what it announces, and reading
// from the signal frame there what has happened to the guest.
//
// THE WAY OF ONE STOP. Guest code makes a system call or faults. The kernel puts a signal frame on one of two stacks in
// the window, which the monitor has mapped, too. The stub says where the frame is, answers the last message, and waits
// for another one. The monitor reads the frame, and some time later writes all
// registers into a page there and a new message into `go`; the stub loads them and jumps. It never returns from a
// handler: sigreturn would cost half as much again.
//
// WHY IT IS SAFE. Guest code can write everything that is writable there and jump anywhere, into the stub as well. So:
// 1. What a process says is only ever taken for its guest's registers and its guest's faults. Addresses that the
//    monitor follows are looked at first (at()), values that a CPU would object to are made good.
// 2. The host carries out only the stub's system calls: Syscall User Dispatch turns away those made anywhere else, the
//    filter those with other arguments than the stub's at that place. Of what is left, only mmap, munmap and mprotect
//    mean something, and they need the secret: 64 random bits, in argument bits that the kernel ignores.
// 3. That no guest code runs is vouched for by the kernel. A message is a random number, in a page that is read-only
//    there. To answer it the stub writes the number to an eventfd, which can be done at one place of it only; from
//    there it goes on to wait for another message than the one that it finds then. So what the monitor reads from the
//    eventfd is the sum of what has been written since it last let guest code run, and when that is the last message,
//    somebody has come by that place since it was published, and waits: no guest code runs, and none will until the
//    monitor says so. One that jumps there with the right number in place is as good as the stub; with another number,
//    it waits just as well, and the monitor asks again (answered()).
// 4. The secret is in the process only while that holds. The monitor publishes it with commands, and takes it back
//    before it lets guest code run; the stub has cleared it from registers by then. While it is there nothing can fault
//    and no kick is under way, so that it comes into no signal frame: none is sent while commands are carried out, and
//    one sent before has arrived when the next message is answered, as answering takes a system call (settle()).
// 5. A kick (SIGURG) that finds the stub running leaves it as it was and makes a note (`late`), which is looked at when
//    everything is in place for the guest. From there to the guest's first instruction, the registers are still those
//    that the monitor gave. Guest code can make a loop of the stub's own code, which would put kicks off for ever: then
//    STOP_SIGNAL ends it as a fault does (await_stop()). One of the two stacks is in use by a frame that matters, the
//    other one is armed before guest code runs or the stub waits; being armed does not depend on rsp (SS_AUTODISARM).
// What guest code gains by all else is a state that it could have had anyway, or that it hangs until the next kick. It
// sees that there is something at PROCESS_WINDOW, and what lies there: its own registers.
#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "engines/bt/process_inside.h"
#include "engines/bt/xstate.h"

#define SPIN_CYCLES 200000 // waking a CPU that has gone to sleep costs about as much
#define STUB_SPINS 3000    // likewise, in turns of the stub's loop
#define YIELDS 20          // on one CPU
#define KICK_MS 20         // guest code can be left at once, where it has a CPU
#define USER_DISPATCH 2    // SYS_USER_DISPATCH: si_code of a dispatched system call
#define PATIENCE_MS 60     // of the process's CPU time
#define GUEST_PAGE 0x1000
#define STOPPED_MS 1000 // who has not answered by then may have been stopped (SIGSTOP): it is let go on
#define VSYSCALL 0xffffffffff600000ull
#define CS_USER 0x33
#define RFLAGS_USER (FLAGS_ARITH | FLAG_DF | FLAG_AC | FLAG_ID | FLAG_NT)

// ---- Messages ----

static uint64_t fresh(struct process_pool *pool)
{
    if (!pool->random_left) {
        size_t have = 0;
        while (have < sizeof pool->random) { // a signal may cut it short
            ssize_t got = getrandom((uint8_t *)pool->random + have, sizeof pool->random - have, 0);
            have += got > 0 ? (size_t)got : 0;
        }
        pool->random_left = sizeof pool->random / sizeof pool->random[0];
    }
    return pool->random[--pool->random_left];
}

// The one that ran before, perhaps on the same CPU, shall stop spinning; but not before this one has been woken, so
// that the CPU does not fall asleep in between.
static void hush_last(struct process *p)
{
    struct process *last = p->pool->last;
    if (last && last != p)
        atomic_store_explicit(&last->told->spins, 0, memory_order_relaxed);
    p->pool->last = p;
}

static void tell(struct process *p, unsigned what)
{
    struct process_told *told = p->told;
    uint64_t go;
    do
        go = (fresh(p->pool) & ~(MESSAGE_RESERVED | GO_BITS)) | what;
    while ((uint32_t)go == (uint32_t)p->go); // the stub sleeps on the low half
    p->go = go;
    p->signalled = false;
    atomic_store_explicit(&told->spins, p->pool->one_cpu ? 0 : STUB_SPINS, memory_order_relaxed);
    atomic_store(&told->go, go);
    if (atomic_load(&p->state->sleeps))
        syscall(SYS_futex, &told->go, FUTEX_WAKE, 1, NULL, NULL, 0);
    hush_last(p);
}

static void kick(struct process *p, int number)
{
    p->signalled = true;
    syscall(SYS_pidfd_send_signal, p->pidfd, number, NULL, 0);
}

static void let_go_on(struct process *p)
{
    syscall(SYS_pidfd_send_signal, p->pidfd, SIGCONT, NULL, 0);
}

// ---- Waiting ----

enum waited { SAID, ATTENTION, TOO_LONG, DEAD };

// Has the last message been answered? Guest code may have written numbers of its own before it had to wait.
static bool answered(struct process *p)
{
    uint64_t sum;
    if (read(p->said, &sum, sizeof sum) != sizeof sum)
        return false;
    if (sum == p->go)
        return true;
    tell(p, GO_ANSWER);
    return false;
}

static enum waited spin(struct process *p, const volatile uint32_t *attention)
{
    unsigned yields = 0;
    for (uint64_t start = __rdtsc(); !p->pool->one_cpu ? __rdtsc() - start < SPIN_CYCLES : yields < YIELDS;) {
        if (atomic_load_explicit(&p->state->hint, memory_order_relaxed) == p->go && answered(p))
            return SAID;
        if (attention && *attention)
            return ATTENTION;
        if (p->pool->one_cpu) {
            sched_yield();
            yields++;
        }
        _mm_pause();
    }
    return TOO_LONG;
}

#define FOREVER UINT64_MAX

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// As poll() has it, rounded up; 0 where the time has come.
static int ms_until(uint64_t ns)
{
    uint64_t now = ns == FOREVER ? 0 : now_ns();
    return ns == FOREVER ? -1 : now < ns ? (int)((ns - now + 999999) / 1000000) : 0;
}

// Wakes that do not matter, and signals to this thread (a kick is repeated by them), do not renew our patience.
static enum waited sleep_until(struct process *p, const volatile uint32_t *attention, uint64_t until)
{
    struct pollfd fds[] = {
        {.fd = p->said, .events = POLLIN}, {.fd = p->pidfd, .events = POLLIN}, {.fd = p->pool->wake, .events = POLLIN}};
    uint64_t unused;
    if (attention && *attention)
        return ATTENTION;
    int ready = poll(fds, attention ? 3 : 2, ms_until(until));
    if (ready > 0 && fds[2].revents && read(p->pool->wake, &unused, sizeof unused) < 0)
        assert(errno == EAGAIN);
    if (answered(p))
        return SAID;
    if (ready > 0 && fds[1].revents)
        return DEAD;
    return ms_until(until) == 0 ? TOO_LONG : ATTENTION; // or nothing
}

// For the answer to the last message. attention may be NULL; patience_ms, or -1 for as long as it takes, counts from
// when spinning ends.
static enum waited await(struct process *p, const volatile uint32_t *attention, int patience_ms)
{
    enum waited result = spin(p, attention);
    if (result != TOO_LONG)
        return result;
    uint64_t until = patience_ms < 0 ? FOREVER : now_ns() + (uint64_t)patience_ms * 1000000;
    atomic_store(&p->pool->asleep, 1);
    do
        result = sleep_until(p, attention, until);
    while (result == ATTENTION && !(attention && *attention));
    atomic_store(&p->pool->asleep, 0);
    return result;
}

uint64_t process_ran(const struct process *p)
{
    return p->state->left - p->state->entered;
}

void process_wake(struct process_pool *pool)
{
    const uint64_t one = 1;
    atomic_thread_fence(memory_order_seq_cst); // behind *attention; await() has it the other way round
    if (atomic_load(&pool->asleep) && write(pool->wake, &one, sizeof one) < 0)
        assert(errno == EAGAIN);
}

// Of the stub, which answers at once.
static enum waited await_stub(struct process *p)
{
    enum waited result;
    while ((result = await(p, NULL, STOPPED_MS)) == TOO_LONG)
        let_go_on(p);
    return result;
}

static enum process_stop has_died(struct process *p)
{
    siginfo_t info = {0};
    p->dead = true;
    if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) || !info.si_pid)
        snprintf(p->pool->died, STOP_LINE, "the process for user code (pid %d) is gone", p->pid);
    else if (info.si_code == CLD_EXITED)
        snprintf(p->pool->died, STOP_LINE, "the process for user code (pid %d) has ended with status %d", p->pid,
                 info.si_status);
    else
        snprintf(p->pool->died, STOP_LINE, "the process for user code (pid %d) has been killed by signal %d", p->pid,
                 info.si_status);
    return PROCESS_DIED;
}

// ---- Commands ----

void process_clear(struct process *p)
{
    const uint64_t behind = PROCESS_WINDOW + PROCESS_WINDOW_BYTES;
    p->queue[0] =
        (struct process_command){.va = PROCESS_LOWEST, .bytes = PROCESS_WINDOW - PROCESS_LOWEST, .op = PROCESS_UNMAP};
    p->queue[1] = (struct process_command){.va = behind, .bytes = PROCESS_HIGHEST - behind, .op = PROCESS_UNMAP};
    p->queued = 2;
}

bool process_queue(struct process *p, const struct process_command *c)
{
    assert(c->va >= PROCESS_LOWEST && c->bytes && c->bytes <= PROCESS_HIGHEST && c->va <= PROCESS_HIGHEST - c->bytes);
    assert(c->va + c->bytes <= PROCESS_WINDOW || c->va >= PROCESS_WINDOW + PROCESS_WINDOW_BYTES);
    if (p->queued == PROCESS_COMMANDS)
        return false;
    p->queue[p->queued++] = *c;
    return true;
}

static struct process_call call_for(const struct process_command *c)
{
    const uint64_t how = MAP_SHARED | MAP_FIXED | (c->populate ? MAP_POPULATE : 0);
    switch ((enum process_op)c->op) {
    case PROCESS_MAP:
        return (struct process_call){{c->va, c->bytes, c->prot, how, FD_RAM, c->ram_offset}, SYS_mmap, 0};
    case PROCESS_UNMAP:
        return (struct process_call){{c->va, c->bytes}, SYS_munmap, 0};
    case PROCESS_PROTECT:
        break;
    }
    return (struct process_call){{c->va, c->bytes, c->prot}, SYS_mprotect, 0};
}

// A kick that was sent has arrived, too.
static bool settle(struct process *p)
{
    while (p->signalled) {
        tell(p, GO_ANSWER);
        if (await_stub(p) == DEAD)
            return false;
    }
    return true;
}

// Nobody but the stub can have said so: no guest code runs. False also where it has missed the message, because it was
// on its way to answering the one before for a second time.
static bool commands_done(struct process *p)
{
    const uint64_t go = p->go;
    for (uint64_t start = __rdtsc(); !p->pool->one_cpu && __rdtsc() - start < SPIN_CYCLES;) {
        if (atomic_load_explicit(&p->state->done, memory_order_acquire) == go)
            return true;
        _mm_pause();
    }
    tell(p, GO_ANSWER); // wakes us
    p->dead = await_stub(p) == DEAD;
    return atomic_load_explicit(&p->state->done, memory_order_acquire) == go;
}

// All that is queued. PROCESS_SYSCALL: all is well.
static enum process_stop carry_out(struct process *p)
{
    struct process_call *calls = (struct process_call *)(p->shared - IN_SHARED + IN_COMMANDS);
    struct process_told *told = p->told;
    if (!settle(p))
        return has_died(p);
    for (unsigned i = 0; i < p->queued; i++)
        calls[i] = call_for(&p->queue[i]);
    told->count = p->queued;
    for (unsigned i = 0; i < 2; i++)
        told->secret[i] = (uint64_t)p->secret[i] << 32;
    p->queued = 0;
    do
        tell(p, GO_COMMANDS);
    while (!commands_done(p) && !p->dead);
    memset(told->secret, 0, sizeof told->secret);
    if (p->dead)
        return has_died(p);
    return p->state->result ? PROCESS_REFUSED : PROCESS_SYSCALL;
}

bool process_obeys(struct process *p)
{
    p->queue[0] = (struct process_command){
        .va = PROCESS_LOWEST, .bytes = GUEST_PAGE, .op = PROCESS_MAP, .prot = PROT_READ, .populate = true};
    p->queue[1] = (struct process_command){.va = PROCESS_LOWEST, .bytes = GUEST_PAGE, .op = PROCESS_PROTECT};
    p->queue[2] = (struct process_command){.va = PROCESS_LOWEST, .bytes = GUEST_PAGE, .op = PROCESS_UNMAP};
    p->queued = 3;
    return carry_out(p) == PROCESS_SYSCALL;
}

// ---- Vector registers ----

// Inside what is shared, or NULL.
static uint8_t *at(const struct process *p, uint64_t address, size_t bytes)
{
    uint64_t offset = address - (WINDOW + IN_SHARED);
    return offset < SHARED_BYTES && bytes <= SHARED_BYTES - offset ? p->shared + offset : NULL;
}

// Whatever guest code has written there, xrstor shall find nothing to object to.
static void sanitise(struct process_pool *pool)
{
    uint8_t *image = pool->image;
    uint64_t header[8] = {0};
    uint32_t mxcsr;
    memcpy(&mxcsr, image + 24, sizeof mxcsr);
    mxcsr &= MXCSR_ALL;
    memcpy(image + 24, &mxcsr, sizeof mxcsr);
    memcpy(header, image + 512, sizeof header[0]);
    header[0] &= pool->xcr0;
    memcpy(image + 512, header, sizeof header);
}

void process_give_vectors(struct process_pool *pool, const uint8_t *image)
{
    memcpy(pool->image, image, XSAVE_BYTES); // its header says that there is no more
    pool->vectors = NULL;
}

// From the process that has them.
static void take_vectors(struct process_pool *pool)
{
    const uint8_t *from = pool->vectors ? at(pool->vectors, pool->vectors->vectors, pool->xsave_bytes) : NULL;
    if (from)
        memcpy(pool->image, from, pool->xsave_bytes);
    sanitise(pool);
    pool->vectors = NULL;
}

void process_take_vectors(struct process_pool *pool, uint8_t *image)
{
    take_vectors(pool);
    memcpy(image, pool->image, XSAVE_BYTES);
}

// The one CPU's vector registers go to where this process will load them from.
static void bring_vectors(struct process *p)
{
    struct process_pool *pool = p->pool;
    if (pool->vectors == p)
        return;
    take_vectors(pool);
    memcpy(p->shared - IN_SHARED + IN_FPU, pool->image, pool->xsave_bytes);
    p->vectors = WINDOW + IN_FPU;
    pool->vectors = p;
}

// ---- What has happened ----

struct frame { // struct sigcontext of the kernel, by index as the stub has it, and of siginfo what counts
    uint64_t reg[18];
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, mask, cr2, fpu;
};
struct frame_info {
    int32_t number, unused, code, unused2;
    uint64_t call_address;
    int32_t call;
    uint32_t arch;
};
enum { FRAME_RIP = 16, FRAME_RFLAGS = 17 };

static uint64_t made_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16);
}

static bool canonical(uint64_t address)
{
    return made_canonical(address) == address;
}

static void take_registers(struct process *p, const struct frame *f, struct process_regs *regs)
{
    static const uint8_t index[GPR_COUNT] = {13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7};
    for (unsigned i = 0; i < GPR_COUNT; i++)
        regs->gpr[i] = f->reg[index[i]];
    regs->rip = f->reg[FRAME_RIP];
    regs->rflags = (f->reg[FRAME_RFLAGS] & (RFLAGS_USER | FLAG_TF)) | FLAG_FIXED1;
    regs->fs_base = made_canonical(p->state->fs); // guest code may have written there
    regs->gs_base = made_canonical(p->state->gs);
}

static enum process_stop exception(struct process_info *info, unsigned vector, uint32_t error, uint64_t address)
{
    *info = (struct process_info){.vector = vector, .error = error, .address = address};
    return PROCESS_EXCEPTION;
}

// A system call by a way that only the host has, or as 32-bit code makes it. Puts rip, and what the kernel did to the
// stack on behalf of its vsyscall page, back to where the instruction began.
static enum process_stop other_call(const struct frame_info *f, struct process_regs *regs, struct process_info *info)
{
    if ((f->call_address & ~0xfffull) == VSYSCALL) {
        regs->rip = f->call_address;
        regs->gpr[4] -= 8;
    } else {
        regs->rip -= 2;
    }
    return exception(info, VEC_UD, 0, 0);
}

static bool in(uint64_t address, const uint8_t *from, const uint8_t *to)
{
    return address >= process_stub_at(from) && address < process_stub_at(to);
}

// PROCESS_KICKED: nothing but that, if anybody asked for it.
static enum process_stop read_frame(struct process *p, const struct frame *f, const struct frame_info *i,
                                    struct process_regs *regs, struct process_info *info)
{
    const uint64_t rip = f->reg[FRAME_RIP];
    p->vectors = f->fpu;
    if (in(rip, process_stub_leave, process_stub_leave_end) &&
        (i->number == SIGURG || i->number == STOP_SIGNAL || rip == process_stub_at(process_stub_leave_end) - 1))
        return PROCESS_KICKED; // on its way into the guest: the registers are those that were given
    take_registers(p, f, regs);
    if (f->cs != CS_USER)
        return exception(info, VEC_GP, 0, 0);
    if (rip - WINDOW < TEXT_BYTES) // guest code has gone where its own page tables have nothing
        return exception(info, VEC_PF, PF_USER | PF_FETCH, rip);
    if (i->number == SIGSYS)
        return i->code == USER_DISPATCH && i->arch == AUDIT_ARCH_X86_64 ? PROCESS_SYSCALL : other_call(i, regs, info);
    if (i->code <= 0) // a kick, or sent by somebody outside
        return PROCESS_KICKED;
    return exception(info, (unsigned)f->trap & 31, (uint32_t)f->error, f->cr2);
}

static enum process_stop look(struct process *p, struct process_regs *regs, struct process_info *info)
{
    const struct process_state *s = p->state;
    struct frame f;
    struct frame_info i;
    const uint64_t address = s->frame;
    if (s->stops == p->stops)
        return PROCESS_KICKED; // it had not seen the message
    p->stops = s->stops;
    const uint8_t *frame = at(p, address, FRAME_BYTES);
    if (!frame || address % 8) { // not the stub's announcement
        regs->rip = WINDOW;
        return exception(info, VEC_PF, PF_USER | PF_FETCH, WINDOW);
    }
    memcpy(&f, frame + FRAME_MC, sizeof f);
    memcpy(&i, frame + FRAME_INFO, sizeof i);
    return read_frame(p, &f, &i, regs, info);
}

// ---- Running ----

static void give(struct process *p, const struct process_regs *regs)
{
    struct process_told *told = p->told;
    assert(canonical(regs->fs_base) && canonical(regs->gs_base)); // the stub would fault
    memcpy(told->gpr, regs->gpr, sizeof told->gpr);
    told->rip = regs->rip;
    told->rflags = (regs->rflags & RFLAGS_USER) | FLAG_FIXED1 | FLAG_IF;
    told->fs = regs->fs_base;
    told->gs = regs->gs_base;
    told->fpu = p->vectors;
    if (p->state->late)
        p->state->late = 0; // a kick that was meant for another time
    tell(p, GO_RUN);
}

static uint64_t cpu_ms(const struct process *p)
{
    struct timespec used = {0};
    clock_gettime((clockid_t)(~(unsigned)p->pid << 3 | 2), &used); // as clock_getcpuclockid() has it, without asking
    return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

// Until guest code has been left. False: it died. Where guest code has jumped into the stub's waiting, a kick goes by
// unnoticed, but not a message; where it has found a loop in the stub, only STOP_SIGNAL helps. A process that has
// answered neither, and has got the CPU all the time, is not one that is merely slow.
static bool await_stop(struct process *p, const volatile uint32_t *attention)
{
    enum waited waited = await(p, attention, -1);
    if (waited == SAID)
        return true;
    const uint64_t start = cpu_ms(p);
    for (unsigned kicks = 1; waited != SAID; kicks++) {
        if (waited == DEAD)
            return false;
        if (kicks % (STOPPED_MS / KICK_MS) == 0)
            let_go_on(p);
        if (waited == TOO_LONG)
            tell(p, GO_ANSWER);
        kick(p, cpu_ms(p) - start < PATIENCE_MS ? SIGURG : STOP_SIGNAL);
        waited = await(p, NULL, KICK_MS);
    }
    return true;
}

enum process_stop process_run(struct process *p, struct process_regs *regs, const volatile uint32_t *attention,
                              struct process_info *info)
{
    enum process_stop stop;
    if (!p->pool->placed)
        process_place(p->pool);
    if (p->dead)
        return PROCESS_DIED;
    if (p->queued && (stop = carry_out(p)) != PROCESS_SYSCALL)
        return stop;
    if (!canonical(regs->rip))
        return exception(info, VEC_GP, 0, 0);
    bring_vectors(p);
    do {
        give(p, regs);
        if (!await_stop(p, attention))
            return has_died(p);
        stop = look(p, regs, info);
    } while (stop == PROCESS_KICKED && !*attention);
    return stop;
}
