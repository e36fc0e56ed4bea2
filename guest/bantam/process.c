// SPDX-License-Identifier: BSD-2-Clause
// Processes: the table, whose turn it is, sleeping and waking, and how one starts. exit.c has how it ends.
#include "guest/bantam/kernel.h"
#include "guest/insn.h"

#define SWITCH_REGISTERS 6 // what switch_stacks() pops before it returns

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
    fpu_switch(old, next);
    load(next, old->fs_base);
    switch_stacks(&old->kernel_sp, next->kernel_sp);
}

_Noreturn void process_leave(void)
{
    schedule();
    __builtin_unreachable();
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

// ---- Start and exec ----

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
    fpu_reset();
    *p->frame = (struct trap_frame){
        // A broken entry faults at address 0 and not at our iretq.
        .rip = entry < USER_TOP ? entry : 0,
        .cs = USER_CS,
        .rflags = FLAG_FIXED1 | FLAG_IF,
        .rsp = stack,
        .ss = USER_DS,
    };
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
