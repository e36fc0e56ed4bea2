// SPDX-License-Identifier: BSD-2-Clause
// What a Unix kernel does around its processes, together and many times: a direct map of 2 MiB pages, two address
// spaces with a page each at one address, entry by syscall and by fault with swapgs and a kernel stack of the process's
// own, return by sysretq and by iretq, fs and gs bases, copies by rep movsq and rep stosq, invlpg after a changed
// entry. Where syscall leaves CPL at 3 (some software back ends of /dev/kvm do), the page fault at LSTAR is the system
// call, and rcx and r11 are as behind one.
#include "guest/insn.h"
#include "guest/layout.h"
#include "guest/state.h"
#include "tests/guest/feature.h"

IMAGE("unixway");

#define ROUNDS 50
#define USER_VA 0x400000ull // code; data on the next page
#define USER_DATA_VA (USER_VA + 0x1000)
#define DIRECT 0xffff888000000000ull
#define STACK_WORDS 512
#define PF_AT_SYSCALL (PF_PRESENT | PF_USER | PF_FETCH)

// The program: a system call, which multiplies its number by ten, and a store to a page that is not there. At its data
// page: 0 the process's number, 8 rounds, 16 their sum, 24 what fs points to, 32 what gs points to.
extern const char program[], program_end[];
__asm__(".section .rodata\nprogram:\n"
        "movl $0x401000, %ebx\n"
        "1: movq (%rbx), %rdi; movq %fs:0, %rsi; movq %gs:0, %rdx; movl $1, %eax; syscall\n"
        "addq %rax, 16(%rbx); incq 8(%rbx); movq %rax, 0x402000\n"
        "jmp 1b\n"
        "program_end:\n.text");

struct process {
    uint64_t cr3;
    uint64_t *data, *stack, *late; // as the kernel sees them
    uint64_t syscalls, faults, wrong;
    struct trap_frame frame;
};

struct cpu { // what the kernel's gs base points to; the entry code knows the first two
    uint64_t kernel_rsp, user_rsp;
    struct process processes[2];
    unsigned now;
};
static struct cpu cpu;

void unix_entry(void);
void unix_syscall(struct trap_frame *frame);
_Noreturn void unix_resume(const struct trap_frame *frame, uint64_t by_sysret);

#define PUSH_ALL                                                                                                       \
    "pushq %rax; pushq %rbx; pushq %rcx; pushq %rdx; pushq %rsi; pushq %rdi; pushq %rbp; pushq %r8; pushq %r9\n"       \
    "pushq %r10; pushq %r11; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
#define POP_ALL                                                                                                        \
    "popq %r15; popq %r14; popq %r13; popq %r12; popq %r11; popq %r10; popq %r9; popq %r8; popq %rbp; popq %rdi\n"     \
    "popq %rsi; popq %rdx; popq %rcx; popq %rbx; popq %rax; addq $16, %rsp\n"
__asm__("unix_entry: swapgs; movq %rsp, %gs:8; movq %gs:0, %rsp\n"
        "pushq $0x2b; pushq %gs:8; pushq %r11; pushq $0x33; pushq %rcx; pushq $0; pushq $0x100\n" PUSH_ALL
        "movq %rsp, %rdi; call unix_syscall; ud2\n"
        "unix_resume: movq %rdi, %rsp; testq %rsi, %rsi; jnz 1f\n" POP_ALL "swapgs; iretq\n"
        "1:" POP_ALL "movq (%rsp), %rcx; movq 16(%rsp), %r11; movq 24(%rsp), %rsp; swapgs; sysretq\n");

static struct process *current(void)
{
    return &cpu.processes[cpu.now];
}

// To the other process, by turns with sysretq and iretq.
static _Noreturn void go_on(void)
{
    cpu.now ^= 1;
    struct process *p = current();
    write_cr3(p->cr3);
    cpu.kernel_rsp = (uint64_t)(p->stack + STACK_WORDS);
    tss_set_rsp0(cpu.kernel_rsp);
    write_msr(MSR_FS_BASE, USER_DATA_VA + 24);
    write_msr(MSR_KERNEL_GS_BASE, USER_DATA_VA + 32);
    p->frame.rcx = p->frame.rip, p->frame.r11 = p->frame.rflags;
    unix_resume(&p->frame, p->syscalls & 1);
}

static void finish(void);

static void note_syscall(struct process *p, const struct trap_frame *f)
{
    p->syscalls++;
    uint64_t number = p->data[0], rsp = 0x7ffffff000 - 16 * number;
    p->wrong += f->rdi != number || f->rsi != 100 + number || f->rdx != 200 + number || f->rax != 1 || f->rsp != rsp ||
                (f->rflags & FLAG_IF) || read_msr(MSR_GS_BASE) != (uint64_t)&cpu;
}

// Gone again before the next store.
static void take_page(struct process *p)
{
    uint64_t *entry = pte_of(USER_VA + 0x2000, 1);
    if (entry && *entry & PTE_P) {
        p->wrong += p->late[0] != p->data[0] * 10;
        *entry = 0;
        invlpg((void *)(USER_VA + 0x2000));
    }
}

void unix_syscall(struct trap_frame *frame)
{
    struct process *p = current();
    p->frame = *frame;
    note_syscall(p, frame);
    take_page(p);
    p->frame.rax = p->data[0] * 10;
    if (cpu.processes[0].syscalls + cpu.processes[1].syscalls > 2 * ROUNDS)
        finish();
    go_on();
}

// The program's store. The page gets there by way of the direct map, written in all the ways a kernel writes pages.
static void on_missing_page(struct process *p, struct trap_frame *frame)
{
    p->faults++;
    p->wrong += read_cr2() != USER_VA + 0x2000 || frame->error != (PF_WRITE | PF_USER) ||
                frame->rax != p->data[0] * 10 || frame->cs != USER_CS;
    uint64_t *to = p->late;
    for (size_t i = 0; i < 512; i++)
        to[i] = i;
    size_t count = 512;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(0) : "memory");
    p->wrong += to != p->late + 512 || count || p->late[511];
    uint64_t *from = p->late + 8, *backward = p->late;
    p->late[8] = 77, count = 8;
    __asm__ volatile("rep movsq" : "+D"(backward), "+S"(from), "+c"(count) : : "memory");
    p->wrong += p->late[0] != 77;
    map_page(USER_VA + 0x2000, (uint64_t)p->late - DIRECT, PTE_P | PTE_W | PTE_U);
}

static void on_page_fault(struct trap_frame *frame)
{
    struct process *p = current();
    swapgs();
    if (frame->rip == (uint64_t)unix_entry && frame->error == PF_AT_SYSCALL) {
        frame->rip = frame->rcx, frame->rflags = frame->r11 & ~(uint64_t)FLAG_IF;
        unix_syscall(frame);
    }
    if (frame->cs != USER_CS)
        panic("page fault at CPL 0: rip 0x%lx cr2 0x%lx error 0x%lx", frame->rip, read_cr2(), frame->error);
    p->wrong += (uint64_t)frame < (uint64_t)p->stack || (uint64_t)frame > (uint64_t)(p->stack + STACK_WORDS);
    on_missing_page(p, frame);
    swapgs();
}

static void finish(void)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct process *p = &cpu.processes[i];
        CHECK_EQ(p->wrong, 0);
        CHECK(p->syscalls >= ROUNDS);
        CHECK_EQ(p->faults, p->syscalls - 1);
        CHECK_EQ(p->data[1], p->syscalls - 1);
        CHECK_EQ(p->data[2], p->data[1] * p->data[0] * 10);
    }
    image_exit(0);
}

static uint64_t *page_by_direct_map(void)
{
    return (uint64_t *)(phys_of(page_alloc()) + DIRECT);
}

static void make_direct_map(void)
{
    uint64_t *directory = page_alloc(), *pointers = page_alloc();
    for (uint64_t i = 0; i < 16; i++) // 32 MiB
        directory[i] = i << 21 | PTE_P | PTE_W | PTE_PS | PTE_G;
    pointers[0] = phys_of(directory) | PTE_P | PTE_W;
    uint64_t *top = (uint64_t *)(read_cr3() + KERNEL_VIRT_BASE);
    top[DIRECT >> 39 & 511] = phys_of(pointers) | PTE_P | PTE_W;
}

static void make_process(unsigned i, const uint64_t *original)
{
    struct process *p = &cpu.processes[i];
    uint64_t *top = page_by_direct_map(), *code = page_by_direct_map();
    for (unsigned k = 256; k < 512; k++)
        top[k] = original[k];
    p->cr3 = (uint64_t)top - DIRECT;
    p->data = page_by_direct_map(), p->stack = page_by_direct_map(), p->late = page_by_direct_map();
    p->data[0] = i + 1, p->data[3] = 101 + i, p->data[4] = 201 + i;
    for (unsigned k = 0; k < (unsigned)(program_end - program); k++)
        ((char *)code)[k] = program[k];
    write_cr3(p->cr3);
    map_page(USER_VA, (uint64_t)code - DIRECT, PTE_P | PTE_U);
    map_page(USER_DATA_VA, (uint64_t)p->data - DIRECT, PTE_P | PTE_W | PTE_U);
    p->frame.rip = USER_VA, p->frame.cs = USER_CS, p->frame.ss = USER_DS;
    p->frame.rflags = FLAG_FIXED1, p->frame.rsp = 0x7ffffff000 - 16 * (i + 1);
}

int image_main(void)
{
    const uint64_t *original = (const uint64_t *)(read_cr3() + KERNEL_VIRT_BASE);
    make_direct_map();
    make_process(0, original);
    make_process(1, original);
    trap_set(VEC_PF, on_page_fault);
    write_msr(MSR_LSTAR, (uint64_t)unix_entry);
    write_msr(MSR_GS_BASE, (uint64_t)&cpu);
    go_on();
}
