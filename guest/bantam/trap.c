// SPDX-License-Identifier: BSD-2-Clause
// Exceptions and interrupts: what a program did wrong becomes a signal, what it may do (touch memory that is not there
// yet) is cured, and a fault of the kernel itself is the end.
#include "guest/bantam/kernel.h"
#include "guest/insn.h"

#define IST_FATAL 1 // the library's double-fault stack
#define IST_DEBUG 2
#define SFMASK_WANTED (FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_AC)

// si_code, by Linux's asm-generic/siginfo.h.
#define SI_KERNEL 0x80
#define FPE_INTDIV 1
#define ILL_ILLOPN 2
#define SEGV_MAPERR 1
#define SEGV_ACCERR 2
#define BUS_ADRALN 1
#define TRAP_TRACE 2

extern const char entry_stubs[], user_access_start[], user_access_end[], user_access_failed[]; // entry.S
extern char debug_stack_top[];
void syscall_entry(void);
int user_copy(void *to, const void *from, size_t size);
int64_t user_copy_string(char *to, const char *from, size_t size);
extern syscall_fn *const syscall_table[]; // syscall.c
int64_t syscall_beyond(struct trap_frame *frame);
void trap_user(struct trap_frame *frame); // called by entry.S alone
void trap_kernel(struct trap_frame *frame);
_Noreturn void trap_fatal(struct trap_frame *frame);
void return_work(struct trap_frame *frame);

_Noreturn void trap_fatal(struct trap_frame *frame)
{
    panic("vector %lu error 0x%lx rip 0x%lx cs 0x%lx rsp 0x%lx cr2 0x%lx in the kernel", frame->vector, frame->error,
          frame->rip, frame->cs, frame->rsp, read_cr2());
}

// ---- Page faults ----

static enum fault cure(const struct trap_frame *frame, uint64_t address)
{
    if (address >= USER_TOP)
        return FAULT_UNMAPPED;
    enum fault fault = space_fault(current()->space, address, frame->error & PF_WRITE, frame->error & PF_FETCH);
    if (fault == FAULT_NO_MEMORY) {
        print("%s: out of memory: pid %d is ended\n", image_name, current()->pid);
        signal_send(current(), SIGKILL);
    }
    return fault;
}

// At CPL 3 an access to a user page is a user's. One that claims to be the kernel's would be cured for ever: QEMU 7.2
// reads the operands of a far return that way, and runs into SMAP.
static void page_fault(struct trap_frame *frame)
{
    uint64_t address = read_cr2();
    enum fault fault = frame->error & PF_USER ? cure(frame, address) : FAULT_RIGHTS;
    if (fault == FAULT_UNMAPPED || fault == FAULT_RIGHTS)
        signal_fault(SIGSEGV, fault == FAULT_UNMAPPED ? SEGV_MAPERR : SEGV_ACCERR, address);
}

// A processor whose `syscall` loads rip but stays at CPL 3 faults on the kernel's first instruction. (A program that
// jumps there gets the same: it is a system call with rcx and r11 in their places, which every program may do.)
static bool is_half_syscall(const struct trap_frame *frame)
{
    return frame->rip == (uint64_t)syscall_entry && frame->error == (PF_PRESENT | PF_USER | PF_FETCH);
}

static void half_syscall(struct trap_frame *frame)
{
    frame->rip = frame->rcx < USER_TOP ? frame->rcx : 0;
    frame->rflags = (frame->r11 & FLAGS_USER) | FLAG_IF | FLAG_FIXED1;
    frame->error = frame->rax;
    frame->vector = SYSCALL_VECTOR;
    syscall_fn *fn = frame->rax < SYSCALL_TABLE_SIZE ? syscall_table[frame->rax] : syscall_beyond;
    frame->rax = (uint64_t)fn(frame);
}

// ---- From CPL 3, from CPL 0 ----

static void program_error(struct trap_frame *frame)
{
    switch (frame->vector) {
    case VEC_DE:
        return signal_fault(SIGFPE, FPE_INTDIV, frame->rip);
    case VEC_DB:
        frame->rflags &= ~(uint64_t)FLAG_TF;
        return signal_fault(SIGTRAP, TRAP_TRACE, frame->rip);
    case VEC_BP:
        return signal_fault(SIGTRAP, SI_KERNEL, 0);
    case VEC_UD:
    case VEC_NM:
        return signal_fault(SIGILL, ILL_ILLOPN, frame->rip);
    case VEC_MF:
    case VEC_XM:
        return signal_fault(SIGFPE, 0, frame->rip);
    case VEC_AC:
        return signal_fault(SIGBUS, BUS_ADRALN, 0);
    case VEC_NP:
    case VEC_SS:
        return signal_fault(SIGBUS, SI_KERNEL, 0);
    default:
        return signal_fault(SIGSEGV, SI_KERNEL, 0);
    }
}

void trap_user(struct trap_frame *frame)
{
    if (frame->vector >= IRQ_BASE)
        time_interrupt((unsigned)frame->vector - IRQ_BASE);
    else if (frame->vector != VEC_PF)
        program_error(frame);
    else if (is_half_syscall(frame))
        half_syscall(frame);
    else
        page_fault(frame);
}

// An interrupt of the idle loop, or a page fault of user_copy() and its like: cured, or -EFAULT. All else is our own
// bug.
void trap_kernel(struct trap_frame *frame)
{
    if (frame->vector >= IRQ_BASE)
        return time_interrupt((unsigned)frame->vector - IRQ_BASE);
    bool user_access = frame->rip >= (uint64_t)user_access_start && frame->rip < (uint64_t)user_access_end;
    uint64_t address = read_cr2();
    if (frame->vector != VEC_PF || !user_access || address >= USER_TOP)
        trap_fatal(frame);
    if (cure(frame, address) != FAULT_CURED)
        frame->rip = (uint64_t)user_access_failed;
}

void return_work(struct trap_frame *frame)
{
    while (cpu.work) {
        if (cpu.work & WORK_TURN)
            yield();
        if (cpu.work & WORK_SIGNAL)
            signal_deliver(frame);
    }
}

// ---- User memory ----

static bool user_range(uint64_t at, size_t size)
{
    return size <= USER_TOP && at <= USER_TOP - size;
}

int copy_from_user(void *to, uint64_t from, size_t size)
{
    return user_range(from, size) ? user_copy(to, (const void *)from, size) : -EFAULT;
}

int copy_to_user(uint64_t to, const void *from, size_t size)
{
    return user_range(to, size) ? user_copy((void *)to, from, size) : -EFAULT;
}

int64_t strncpy_from_user(char *to, uint64_t from, size_t size)
{
    if (from >= USER_TOP)
        return -EFAULT;
    uint64_t most = USER_TOP - from;
    int64_t length = user_copy_string(to, (const char *)from, size < most ? size : most);
    return length == (int64_t)most ? -EFAULT : length;
}

static unsigned stack_for(unsigned vector)
{
    bool fatal = vector == VEC_NMI || vector == VEC_DF || vector == VEC_MC;
    return fatal ? IST_FATAL : vector == VEC_DB ? IST_DEBUG : 0;
}

void traps_init(void)
{
    tss_set_ist(IST_DEBUG, (uint64_t)debug_stack_top);
    for (unsigned vector = 0; vector < ENTRY_STUBS; vector++) {
        bool open = vector == VEC_BP || vector == VEC_OF; // to programs
        idt_set_raw(vector, (void (*)(void))(entry_stubs + (size_t)vector * TRAP_STUB_BYTES), stack_for(vector),
                    open ? 3 : 0);
    }
    write_msr(MSR_LSTAR, (uint64_t)syscall_entry);
    write_msr(MSR_SFMASK, SFMASK_WANTED);
}
