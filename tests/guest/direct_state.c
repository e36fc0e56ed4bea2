// SPDX-License-Identifier: BSD-2-Clause
// What a user program's instructions raise, and the registers that the kernel finds and leaves: exceptions of every
// kind at low addresses, the trap flag set by the program itself, fs and gs bases, and, where the command line says
// xmm=1, vector registers across system calls, faults and address spaces (the image does not ask CPUID for that: a
// monitor may run user code directly and still announce no vectors).
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"
#include "tests/guest/low.h"

IMAGE("direct_state");

#define VA 0x5000000000ull
#define USER_RW (PTE_P | PTE_W | PTE_U)
#define HOLE 0x800000000000ull
#define GATE_80 0x80

static USER_CODE uint64_t divide(void *by)
{
    uint64_t a = 1, d = 0;
    __asm__ volatile("div %2" : "+a"(a), "+d"(d) : "r"(by));
    return a;
}

#define INSTRUCTION(name, text)                                                                                        \
    static USER_CODE uint64_t name(void *arg)                                                                          \
    {                                                                                                                  \
        uint64_t a = (uint64_t)arg;                                                                                    \
        __asm__ volatile(text : "+a"(a) : : "rcx", "rdx", "r11", "memory", "cc");                                      \
        return a;                                                                                                      \
    }
INSTRUCTION(undefined, "ud2")
INSTRUCTION(halt, "hlt")
INSTRUCTION(clear_if, "cli")
INSTRUCTION(read_port, "inb $0x80, %%al")
INSTRUCTION(read_a_msr, "movl $0xc0000080, %%ecx; rdmsr")
INSTRUCTION(read_cr, "movq %%cr0, %%rax")
INSTRUCTION(int80, "int $0x80")
INSTRUCTION(int81, "int $0x81")
INSTRUCTION(load_rax, "movq (%%rax), %%rax")
INSTRUCTION(store_rax, "movq %%rax, (%%rax)")
INSTRUCTION(jump_rax, "jmp *%%rax")
INSTRUCTION(push_bad, "movq %%rsp, %%rcx; movq %%rax, %%rsp; pushq %%rdx; movq %%rcx, %%rsp")
INSTRUCTION(call_bad, "movq %%rsp, %%rcx; movq %%rax, %%rsp; call 1f; 1: movq %%rcx, %%rsp")
INSTRUCTION(load_ss, "movw %%ax, %%ss")
INSTRUCTION(load_bad_fs, "movw %%ax, %%fs")
INSTRUCTION(lock_nop, ".byte 0xf0, 0x90")
INSTRUCTION(unaligned, "pushq $0x40002; popfq; movq -31(%%rsp), %%rcx; pushq $2; popfq")

static int vector_of(uint64_t (*fn)(void *), uint64_t arg)
{
    return low_catch(fn, arg).vector;
}

static void exceptions(void)
{
    CHECK_EQ(low_run(divide, 1), 1);
    CHECK_EQ(vector_of(divide, 0), VEC_DE);
    CHECK_EQ(vector_of(undefined, 0), VEC_UD);
    CHECK_EQ(vector_of(lock_nop, 0), VEC_UD);
    CHECK_EQ(vector_of(halt, 0), VEC_GP);
    CHECK_EQ(vector_of(clear_if, 0), VEC_GP);
    CHECK_EQ(vector_of(read_port, 0), VEC_GP);
    CHECK_EQ(vector_of(read_a_msr, 0), VEC_GP);
    CHECK_EQ(vector_of(read_cr, 0), VEC_GP);
    CHECK_EQ(vector_of(load_rax, HOLE), VEC_GP);
    CHECK_EQ(vector_of(store_rax, 0x1234567812345678), VEC_GP);
    CHECK_EQ(vector_of(jump_rax, HOLE), VEC_GP);
    CHECK_EQ_NOT_QEMU(vector_of(push_bad, HOLE + 8), VEC_SS);
    CHECK_EQ(vector_of(push_bad, VA + LOW_PAGE), VEC_PF);
    CHECK_EQ(vector_of(call_bad, VA + LOW_PAGE), VEC_PF);
    CHECK_EQ_NOT_QEMU(vector_of(call_bad, HOLE + 8), VEC_SS);
    struct caught c = low_catch(load_ss, KERNEL_CS);
    CHECK(c.vector == VEC_GP && c.error == KERNEL_CS);
    c = low_catch(load_bad_fs, 0x1238);
    CHECK(c.vector == VEC_GP && c.error == 0x1238);
    c = low_catch(jump_rax, VA);
    CHECK(c.vector == VEC_PF && c.rip == VA && c.cr2 == VA && c.error == (PF_USER | PF_FETCH));
}

static void software_interrupts(void)
{
    struct caught c = low_catch(int81, 0); // beyond what is there, or closed to CPL 3
    CHECK_NOT_QEMU(c.vector == VEC_GP && (c.error & ~7ull) == 0x81 * 8);
    c = low_catch(int80, 0);
    CHECK_NOT_QEMU(c.vector == VEC_GP && (c.error & ~7ull) == GATE_80 * 8);
}

static void alignment(void)
{
    uint64_t cr0 = read_cr0();
    write_cr0(cr0 & ~(uint64_t)CR0_AM);
    CHECK_EQ(vector_of(unaligned, 0), -1);
    write_cr0(cr0 | CR0_AM);
    CHECK_EQ_NOT_QEMU(vector_of(unaligned, 0), VEC_AC);
    write_cr0(cr0);
}

// ---- The trap flag ----

static struct {
    unsigned count;
    uint64_t rip[8], dr6;
    bool tf;
} traps;

static void on_debug(struct trap_frame *frame)
{
    if (traps.count < 8)
        traps.rip[traps.count] = frame->rip;
    traps.count++;
    uint64_t dr6;
    __asm__ volatile("movq %%dr6, %0" : "=r"(dr6));
    traps.dr6 |= dr6;
    traps.tf = frame->rflags & FLAG_TF;
    __asm__ volatile("movq %0, %%dr6" : : "r"(0xffff0ff0ull));
}

extern const char tf_first[], tf_second[], tf_third[];
static USER_CODE uint64_t set_tf(void *arg)
{
    uint64_t n = (uint64_t)arg;
    __asm__ volatile("pushq $0x102; popfq\n"
                     "incq %0\n"
                     "tf_first: incq %0\n"
                     "tf_second: pushq $2\n"
                     "tf_third: popfq\n"
                     "incq %0"
                     : "+r"(n)
                     :
                     : "memory", "cc");
    return n;
}

static void single_steps(void)
{
    trap_set(VEC_DB, on_debug);
    CHECK_EQ(low_run(set_tf, 5), 8);
    CHECK_EQ(traps.count, 4); // the last behind the popf that ends it
    CHECK_EQ(traps.rip[0], low_of(tf_first));
    CHECK_EQ(traps.rip[1], low_of(tf_second));
    CHECK_EQ(traps.rip[2], low_of(tf_third));
    CHECK_EQ(traps.dr6 & 0x4000, 0x4000);
    trap_set(VEC_DB, NULL);
}

// ---- fs and gs ----

static USER_CODE uint64_t load_fs(void *offset)
{
    uint64_t value;
    __asm__ volatile("movq %%fs:(%1), %0" : "=r"(value) : "r"(offset));
    return value;
}

static USER_CODE uint64_t load_gs(void *offset)
{
    uint64_t value;
    __asm__ volatile("movq %%gs:(%1), %0" : "=r"(value) : "r"(offset));
    return value;
}

static void bases(uint64_t *page)
{
    for (unsigned i = 0; i < 512; i++)
        page[i] = i;
    uint64_t gs = read_msr(MSR_GS_BASE);
    for (unsigned i = 0; i < 5; i++) {
        write_msr(MSR_FS_BASE, VA + 8 * i);
        write_msr(MSR_GS_BASE, VA + 800 + 8 * i);
        CHECK_EQ(low_run(load_fs, 16), 2 + i);
        CHECK_EQ(low_run(load_gs, 16), 102 + i);
        CHECK_EQ(read_msr(MSR_FS_BASE), VA + 8 * i);
        CHECK_EQ(read_msr(MSR_GS_BASE), VA + 800 + 8 * i);
    }
    write_msr(MSR_GS_BASE, gs);
    write_msr(MSR_FS_BASE, 0);
}

// ---- Vector registers ----

static unsigned vector_faults;

static void on_fault(struct trap_frame *frame)
{
    vector_faults++;
    *pte_of(read_cr2(), 1) |= PTE_P;
    (void)frame;
}

// Two values, a fault, a breakpoint that is not the end, and what is left of them.
static USER_CODE uint64_t vectors(void *va)
{
    uint64_t a = 0x1122334455667788, b = 0x99aabbccddeeff00, c, d;
    __asm__ volatile("movq %2, %%xmm1; movq %3, %%xmm14; movl (%4), %%eax; movq %%xmm1, %0; movq %%xmm14, %1"
                     : "=&r"(c), "=&r"(d)
                     : "r"(a), "r"(b), "r"(va)
                     : "rax", "memory");
    return c == a && d == b;
}

static void vector_registers(void)
{
    write_cr4(read_cr4() | CR4_OSFXSR);
    trap_set(VEC_PF, on_fault);
    map_page(VA + 8 * LOW_PAGE, phys_of(page_alloc()), USER_RW & ~PTE_P);
    CHECK_EQ(low_run(vectors, VA + 8 * LOW_PAGE), 1);
    CHECK_EQ(low_run(vectors, VA), 1);
    CHECK_EQ(vector_faults, 1);
    trap_set(VEC_PF, NULL);
}

int image_main(void)
{
    low_map();
    uint64_t *page = page_alloc();
    map_page(VA + LOW_PAGE, 0, 0);
    map_page(VA, phys_of(page), USER_RW);
    *pte_of(VA, 1) = 0;
    invlpg((void *)VA);
    exceptions();
    software_interrupts();
    alignment();
    single_steps();
    map_page(VA, phys_of(page), USER_RW);
    bases(page);
    if (option("xmm"))
        vector_registers();
    return 0;
}
