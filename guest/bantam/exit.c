// SPDX-License-Identifier: BSD-2-Clause
// How a process ends, and how its parent hears of it.
#include "guest/bantam/kernel.h"

#define WNOHANG 1u
#define RUSAGE_BYTES 144
#define STATUS_EXIT(code) (((code)&0xff) << 8)
#define STATUS_SIGNAL(status) ((status)&0x7f)
#define FIRST_KILLED 128 // power-off status where a signal ended pid 1: this and the signal

// pid 1's end is the machine's.
static _Noreturn void end_of_first(int status)
{
    int signal = STATUS_SIGNAL(status);
    if (!signal)
        power_off(status >> 8);
    print("%s: pid 1 was ended by signal %d\n", image_name, signal);
    power_off(FIRST_KILLED + signal);
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
    process_leave();
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
