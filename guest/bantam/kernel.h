// SPDX-License-Identifier: BSD-2-Clause
// Bantam's inside: every struct and function that its files use of each other. Bantam is a small Unix for the machine
// that every image runs on; docs/bantam.md says in which order to read it. One processor, and the kernel runs with
// interrupts off but while it is idle: nothing here needs a lock, and only sleep_on() lets another process run.
#ifndef RINGSIDE_GUEST_BANTAM_KERNEL_H
#define RINGSIDE_GUEST_BANTAM_KERNEL_H

#include "guest/bantam/layout.h"
#include "guest/bantam/linux.h"
#include "guest/lib.h"

// ---- Pages (page.c) ----
// RAM above the image, by its address in the direct map. A page has a count of who holds it: a page of user memory is
// held by each page-table entry that names it. What lies in the image itself (the archive) is never counted or freed.
void *page_take(void);        // one page, held once, with whatever is in it; NULL where memory is out
void *page_take_zeroed(void); // the same, all zeros
void page_clear(void *page);
void page_copy(void *to, const void *from);
void page_chain(uint32_t *list, void *page); // pages that nobody looks for by themselves, on a list; 0: empty
void pages_drop_chain(uint32_t list);
void page_hold(uint64_t physical);
void page_drop(uint64_t physical);
bool page_is_shared(uint64_t physical); // somebody else holds it, too, or it is the image's
void pages_init(void);
uint64_t pages_all(void); // all that there are, held or not

static inline void *direct(uint64_t physical)
{
    return (void *)(physical + DIRECT_MAP);
}

static inline uint64_t physical_of_direct(const void *p)
{
    return (uint64_t)p - DIRECT_MAP;
}

// ---- Address spaces (space.c, fork.c) ----
// What user memory is meant to be, in areas sorted by address; page tables are filled by the faults.
struct area {
    uint64_t start, end; // page-aligned
    uint32_t prot;
    bool grows_down;   // the stack: a fault below it moves its start
    const char *bytes; // what it starts out with, zeros behind; NULL: all zeros. In the image, never freed
    uint64_t size;     // of bytes
};

struct space;

struct space *space_create(void); // empty, or NULL
void space_destroy(struct space *space);
// A new area. bytes as in struct area; pages of it are mapped where they are (copy on write) if bytes and start have
// the same offset in a page, that is 0. -ENOMEM, -EINVAL (overlap, not below USER_TOP, not aligned).
int space_map(struct space *space, uint64_t start, uint64_t end, uint32_t prot, const char *bytes, uint64_t size);
int space_map_stack(struct space *space); // the area that ends at STACK_TOP and grows down
// Writes into a space whatever its areas' rights, current or not. -EFAULT, -ENOMEM.
int space_write(struct space *space, uint64_t to, const void *from, size_t size);
void space_set_break(struct space *space, uint64_t start); // where brk() starts: exec's, behind the last segment
// The page of a fault is made present.
enum fault { FAULT_CURED, FAULT_UNMAPPED, FAULT_RIGHTS, FAULT_NO_MEMORY };
enum fault space_fault(struct space *space, uint64_t address, bool write, bool fetch);
struct space *space_fork(struct space *parent);        // copy on write; NULL where memory is out
void space_switch(struct space *space, unsigned pcid); // loads cr3

// ---- User memory of the running process (entry.S, trap.c) ----
// All give 0 or -EFAULT (strncpy_from_user: the length, or -EFAULT; size where there is no NUL in size bytes). A page
// that is not present yet is brought in by the way.
int copy_from_user(void *to, uint64_t from, size_t size);
int copy_to_user(uint64_t to, const void *from, size_t size);
int64_t strncpy_from_user(char *to, uint64_t from, size_t size);

// ---- Processes (process.c) ----
enum process_state { PROCESS_FREE, PROCESS_RUNNABLE, PROCESS_SLEEPING, PROCESS_ZOMBIE };

struct file; // files.c
struct wait_queue {
    struct process *first;
};

struct process {
    uint64_t kernel_sp; // entry.S: where it goes on in the kernel
    struct space *space;
    struct trap_frame *frame; // what it was in user mode, at the top of its kernel stack
    uint64_t fs_base;
    int pid;
    enum process_state state;
    int wait_status; // Linux's encoding

    struct process *parent, *children, *sibling; // children: a list through sibling
    struct process *next;                        // in the run queue or in a wait queue
    struct wait_queue *waiting_on;
    struct wait_queue child_exited; // wait4() sleeps here

    uint64_t pending, blocked; // signals, bit s - 1
    struct sigaction actions[SIGNALS];
    int fault_signal; // what the pending one of an exception was about
    int fault_code;
    uint64_t fault_address;

    struct file *fd[FILES_MAX];
    int fd_end; // none from here on is open (files.c)
};

extern struct process processes[PROCESSES_MAX];

// Per-CPU data, reached through gs; entry.S knows the first four by offset.
#define WORK_SIGNAL 1u
#define WORK_TURN 2u
struct cpu {
    uint64_t kernel_sp; // top of the running process's kernel stack
    uint64_t user_sp;   // of a system call, until it is in the frame
    uint64_t work;      // to do before the return to user mode: a signal, or another process's turn
    struct process *current;
};
extern struct cpu cpu;
extern bool has_pcid, has_smap; // boot.c: what CPUID offers, switched on

static inline struct process *current(void)
{
    struct process *p;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(p) : "i"(CPU_CURRENT));
    return p;
}

// The x87 and vector registers of programs (fpu.c): what CPUID offers is switched on; saved and loaded as another
// process's turn comes; the running process's, copied to its child; as a program finds them.
void fpu_init(void);
void fpu_switch(const struct process *old, const struct process *next);
void fpu_fork(const struct process *child);
void fpu_reset(void);

// Sleeps until wake(queue). 0, or -ERESTARTSYS where a signal is to be looked at first: give it back as the system
// call's result. The caller looks at its condition again in a loop.
int sleep_on(struct wait_queue *queue);
void wake(struct wait_queue *queue);          // all that sleep there
void yield(void);                             // lets the others run first
_Noreturn void process_leave(void);           // for good: the others run, and nothing leads back
_Noreturn void process_exit(int wait_status); // exit.c
// The running process goes on at entry in a new space, with signal handlers back at their defaults. exec's last step:
// it cannot fail. The old space is freed.
void process_exec(struct space *space, uint64_t entry, uint64_t stack);
_Noreturn void process_start_first(void); // pid 1: by exec_first()
struct process *process_take(void);       // a free slot with a new pid, or NULL; process_release() gives it back
void process_release(struct process *p);
void process_make_runnable(struct process *p);
struct process *process_find(int pid);     // not free, not a zombie
void process_interrupt(struct process *p); // out of its sleep, for a signal
bool process_others_wait(void);            // somebody else could run

// ---- Signals (signal.c) ----
#define SIG_DFL 0 // as handlers
#define SIG_IGN 1
void signal_send(struct process *p, int signal);
void signal_fault(int signal, int code, uint64_t address); // of the running process, by an exception
void signal_deliver(struct trap_frame *frame);             // before the return to user mode
bool signal_waiting(const struct process *p);

// ---- Traps (trap.c) ----
void traps_init(void);

// ---- Time (time.c) ----
void time_init(void);
void time_interrupt(unsigned irq);
void wait_for_interrupt(void); // halted

// ---- System calls (syscall.c) ----
// syscalls.def is the table: SYSCALL(number, name) is Linux's number and the function sys_NAME. Arguments are the
// frame's registers; the result is its rax.
typedef int64_t syscall_fn(struct trap_frame *frame);
#define SYSCALL(number, name) syscall_fn sys_##name;
#include "guest/bantam/syscalls.def"
#undef SYSCALL
#define ARG0(frame) ((frame)->rdi)
#define ARG1(frame) ((frame)->rsi)
#define ARG2(frame) ((frame)->rdx)
#define ARG3(frame) ((frame)->r10)
#define ARG4(frame) ((frame)->r8)
#define ARG5(frame) ((frame)->r9)

// ---- Programs (exec.c, elf.c, archive.c: sys_execve, too) ----
// pid 1's program, named by init= or else the image's own, with the other words of the command line as its arguments.
// It builds a space and calls process_exec(). panic() where there is no such program.
void exec_first(void);

// A file of the image, from a table that scripts/archive.sh makes. bytes begins a page, and zeros fill the last one.
struct archived {
    const char *name;
    const char *bytes;
    uint64_t size;
};
extern const struct archived archive[], archive_end[]; // the first is the image's own program
const struct archived *archive_find(const char *path); // NULL: no such file

// ---- Files (files.c, pipe.c, console.c: sys_read, write, open, close, lseek, pipe, dup, dup2) ----
void files_init(struct process *first);                               // 0, 1 and 2 are the console
void files_fork(struct process *child, const struct process *parent); // the child holds what the parent has open
void files_close_all(struct process *p);

#endif
