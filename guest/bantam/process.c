// SPDX-License-Identifier: BSD-2-Clause
// Processes: the table, whose turn it is, sleeping and waking, exit and wait.
#include "guest/bantam/kernel.h"
#include "guest/insn.h"

#define SWITCH_REGISTERS 6 // what switch_stacks() pops before it returns
#define WNOHANG 1u
#define SIG_IGN 1
#define RUSAGE_BYTES 144
#define STATUS_EXIT(code) (((code)&0xff) << 8)
#define STATUS_SIGNAL(status) ((status)&0x7f)
#define INIT_KILLED 128 // power-off status where a signal ended pid 1: this and the signal

struct process processes[PROCESSES_MAX];
struct cpu cpu;

static char stacks[PROCESSES_MAX][KERNEL_STACK_BYTES] __attribute__((aligned(16)));
static struct {
    struct process *free; // slots that have been given back
    unsigned fresh;       // slots from here on have never been used
    struct process *run_first, *run_last;
    struct space *loaded;
} table;

void switch_stacks(uint64_t *save, uint64_t load); // entry.S
void return_to_user(void);
_Noreturn void first_enter(void);

static unsigned slot_of(const struct process *p)
{
    return (unsigned)(p - processes);
}

static uint64_t stack_top(const struct process *p)
{
    return (uint64_t)stacks[slot_of(p)] + KERNEL_STACK_BYTES;
}

// A pid is the slot's number and how often it was used: unique while it lives, found without a search.
static int next_pid(const struct process *p)
{
    int next = p->pid ? p->pid + PROCESSES_MAX : (int)slot_of(p) + 1;
    return next > 0 && next < 1 << 30 ? next : (int)(slot_of(p) + 1 + PROCESSES_MAX);
}

struct process *process_take(void)
{
    struct process *p = table.free;
    if (p)
        table.free = p->next;
    else if (table.fresh < PROCESSES_MAX)
        p = &processes[table.fresh++];
    else
        return NULL;
    p->pid = next_pid(p);
    p->children = p->sibling = p->parent = NULL;
    p->child_exited.first = NULL;
    p->waiting_on = NULL;
    p->fault_signal = 0;
    p->frame = (struct trap_frame *)stack_top(p) - 1;
    // What switch_stacks() finds: the registers, and where to return to. Then rsp is at the frame.
    uint64_t *sp = (uint64_t *)p->frame - 1;
    *sp = (uint64_t)return_to_user;
    p->kernel_sp = (uint64_t)(sp - SWITCH_REGISTERS);
    return p;
}

void process_release(struct process *p)
{
    p->state = PROCESS_FREE;
    p->next = table.free;
    table.free = p;
}

struct process *process_find(int pid)
{
    struct process *p = &processes[(unsigned)(pid - 1) % PROCESSES_MAX];
    bool alive = p->state == PROCESS_RUNNABLE || p->state == PROCESS_SLEEPING;
    return pid > 0 && p->pid == pid && alive ? p : NULL;
}

// ---- Whose turn it is ----

void process_make_runnable(struct process *p)
{
    p->state = PROCESS_RUNNABLE;
    p->next = NULL;
    if (table.run_first)
        table.run_last->next = p;
    else
        table.run_first = p;
    table.run_last = p;
}

bool process_others_wait(void)
{
    return table.run_first;
}

static struct process *take_next(void)
{
    while (!table.run_first)
        wait_for_interrupt();
    struct process *p = table.run_first;
    table.run_first = p->next;
    return p;
}

static void load(struct process *p, uint64_t old_fs_base)
{
    cpu.current = p;
    cpu.kernel_sp = stack_top(p);
    cpu.work = signal_waiting(p) ? WORK_SIGNAL : 0;
    tss_set_rsp0(stack_top(p));
    if (table.loaded != p->space) {
        table.loaded = p->space;
        space_switch(p->space, slot_of(p) + 1);
    }
    // A program can change its base without us only to 0, by loading a selector.
    if (old_fs_base | p->fs_base)
        write_msr(MSR_FS_BASE, p->fs_base);
}

// The running process is in the run queue, in a wait queue or a zombie; another one's turn.
static void schedule(void)
{
    struct process *old = cpu.current, *next = take_next();
    if (next == old) {
        cpu.work = signal_waiting(old) ? WORK_SIGNAL : 0;
        return;
    }
    load(next, old->fs_base);
    switch_stacks(&old->kernel_sp, next->kernel_sp);
}

void yield(void)
{
    cpu.work &= ~(uint64_t)WORK_TURN;
    if (!table.run_first)
        return;
    process_make_runnable(cpu.current);
    schedule();
}

int sleep_on(struct wait_queue *queue)
{
    struct process *p = cpu.current;
    if (signal_waiting(p))
        return -ERESTARTSYS;
    p->state = PROCESS_SLEEPING;
    p->waiting_on = queue;
    p->next = queue->first;
    queue->first = p;
    schedule();
    return signal_waiting(p) ? -ERESTARTSYS : 0;
}

void wake(struct wait_queue *queue)
{
    struct process *p = queue->first;
    queue->first = NULL;
    while (p) {
        struct process *next = p->next;
        p->waiting_on = NULL;
        process_make_runnable(p);
        p = next;
    }
}

void process_interrupt(struct process *p)
{
    if (p->state != PROCESS_SLEEPING)
        return;
    struct process **link = &p->waiting_on->first;
    while (*link != p)
        link = &(*link)->next;
    *link = p->next;
    p->waiting_on = NULL;
    process_make_runnable(p);
}

// ---- Start, exec, exit, wait ----

_Noreturn void process_start_first(void)
{
    struct process *p = process_take();
    *p->frame = (struct trap_frame){.cs = USER_CS, .ss = USER_DS};
    p->state = PROCESS_RUNNABLE;
    files_init(p);
    cpu.current = p;
    cpu.kernel_sp = stack_top(p);
    tss_set_rsp0(stack_top(p));
    first_enter();
}

void process_exec(struct space *space, uint64_t entry, uint64_t stack)
{
    struct process *p = cpu.current;
    struct space *old = p->space;
    p->space = table.loaded = space;
    space_switch(space, slot_of(p) + 1);
    if (old)
        space_destroy(old);
    for (unsigned i = 0; i < SIGNALS; i++) {
        if (p->actions[i].handler != SIG_IGN)
            p->actions[i] = (struct sigaction){0};
    }
    if (p->fs_base)
        write_msr(MSR_FS_BASE, p->fs_base = 0);
    *p->frame = (struct trap_frame){
        // A broken entry faults at address 0 and not at our iretq.
        .rip = entry < USER_TOP ? entry : 0,
        .cs = USER_CS,
        .rflags = FLAG_FIXED1 | FLAG_IF,
        .rsp = stack,
        .ss = USER_DS,
    };
}

// pid 1's end is the machine's.
static _Noreturn void end_of_first(int status)
{
    int signal = STATUS_SIGNAL(status);
    if (!signal)
        power_off(status >> 8);
    print("%s: pid 1 was ended by signal %d\n", image_name, signal);
    power_off(INIT_KILLED + signal);
}

static void unlink_child(struct process *child)
{
    struct process **link = &child->parent->children;
    while (*link != child)
        link = &(*link)->sibling;
    *link = child->sibling;
}

// Nobody waits for orphans: they go when they end.
static void leave_children(struct process *p)
{
    struct process *next;
    for (struct process *child = p->children; child; child = next) {
        next = child->sibling;
        child->parent = NULL;
        if (child->state == PROCESS_ZOMBIE)
            process_release(child);
    }
}

_Noreturn void process_exit(int wait_status)
{
    struct process *p = cpu.current, *parent = p->parent;
    if (p == processes)
        end_of_first(wait_status);
    files_close_all(p);
    leave_children(p);
    space_destroy(p->space);
    p->wait_status = wait_status;
    p->state = PROCESS_ZOMBIE;
    if (parent && parent->actions[SIGCHLD - 1].handler == SIG_IGN) {
        unlink_child(p);
        parent = NULL;
    }
    if (!parent)
        process_release(p); // our stack remains ours until somebody takes the slot: not before schedule()
    else
        signal_send(parent, SIGCHLD);
    if (p->parent)
        wake(&p->parent->child_exited);
    schedule();
    __builtin_unreachable();
}

int64_t sys_exit(struct trap_frame *frame)
{
    process_exit(STATUS_EXIT((int)ARG0(frame)));
}

int64_t sys_exit_group(struct trap_frame *frame)
{
    process_exit(STATUS_EXIT((int)ARG0(frame)));
}

static struct process *find_zombie(struct process *parent, int pid, bool *any)
{
    *any = false;
    for (struct process *child = parent->children; child; child = child->sibling) {
        if (pid > 0 && child->pid != pid)
            continue;
        *any = true;
        if (child->state == PROCESS_ZOMBIE)
            return child;
    }
    return NULL;
}

// The child is gone even where its status cannot be told, as on Linux.
static int64_t reap(struct process *child, uint64_t status_at, uint64_t usage_at)
{
    static const char no_usage[RUSAGE_BYTES];
    int pid = child->pid, status = child->wait_status;
    unlink_child(child);
    process_release(child);
    if (status_at && copy_to_user(status_at, &status, sizeof status))
        return -EFAULT;
    if (usage_at && copy_to_user(usage_at, no_usage, sizeof no_usage))
        return -EFAULT;
    return pid;
}

// Process groups there are none: pid 0 and below are any child.
int64_t sys_wait4(struct trap_frame *frame)
{
    struct process *p = current(), *child;
    bool any;
    while (!(child = find_zombie(p, (int)ARG0(frame), &any))) {
        if (!any)
            return -ECHILD;
        if (ARG2(frame) & WNOHANG)
            return 0;
        int error = sleep_on(&p->child_exited);
        if (error && !find_zombie(p, (int)ARG0(frame), &any))
            return error;
    }
    return reap(child, ARG1(frame), ARG3(frame));
}

int64_t sys_getpid(struct trap_frame *frame)
{
    (void)frame;
    return current()->pid;
}

int64_t sys_getppid(struct trap_frame *frame)
{
    (void)frame;
    const struct process *p = current();
    return p->parent ? p->parent->pid : p == processes ? 0 : 1;
}

int64_t sys_sched_yield(struct trap_frame *frame)
{
    (void)frame;
    yield();
    return 0;
}
