// SPDX-License-Identifier: BSD-2-Clause
// The trap flag on every way into a handler and out of one: faults, int n, iret, syscall with SFMASK's TF and without,
// sysret; and behind instructions that a monitor carries out itself (SDM vol. 3, 17.3.1.4; vol. 2, SYSCALL, SYSRET).
#include "guest/insn.h"
#include "guest/state.h"
#include "tests/guest/judge.h"

IMAGE("stepways");

#define VECTOR 0x81
#define STEPS 32
static volatile struct {
    unsigned count;
    struct {
        uint64_t rip, cs, rflags, dr6;
    } at[STEPS];
    uint64_t other_rip, other_rflags, other_inside; // of the fault or int n in between
} seen;

static void on_debug(struct trap_frame *frame)
{
    uint64_t dr6;
    __asm__ volatile("movq %%dr6, %0" : "=r"(dr6));
    if (seen.count < STEPS) {
        seen.at[seen.count].rip = frame->rip;
        seen.at[seen.count].cs = frame->cs;
        seen.at[seen.count].rflags = frame->rflags;
        seen.at[seen.count].dr6 = dr6 & 0xe00f;
    }
    seen.count++;
    __asm__ volatile("movq %0, %%dr6" : : "r"(0xffff0ff0ull));
}

static void on_other(struct trap_frame *frame)
{
    seen.other_rip = frame->rip;
    seen.other_rflags = frame->rflags;
    seen.other_inside = read_flags();
    if (frame->vector == VEC_UD)
        frame->rip += 2;
}

static void begin(void)
{
    seen.count = 0;
    seen.other_rflags = 0;
}

// The traps were at these addresses, all single steps, in this order.
static bool stepped(const char *const *at, unsigned n)
{
    bool well = seen.count == n;
    for (unsigned i = 0; i < n && well; i++)
        well = seen.at[i].rip == (uint64_t)at[i] && seen.at[i].dr6 == 0x4000;
    return well;
}
#define STEPPED(...) stepped((const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / 8)

#define WITH_TF "pushfq; pushfq; orq $0x100, (%%rsp); popfq\n"

extern const char f_1[], f_2[], f_3[], f_4[], n_1[], n_2[], n_3[], n_4[], i_1[], i_2[], i_3[], o_1[], o_2[];

static __attribute__((noinline)) void through_a_fault(void)
{
    __asm__ volatile(".globl f_1, f_2, f_3, f_4\n" WITH_TF "nop\n"
                     "f_1: ud2\n"
                     "f_2: nop\n"
                     "f_3: popfq\n"
                     "f_4: nop"
                     :
                     :
                     : "memory", "cc");
}

static __attribute__((noinline)) void through_int_n(void)
{
    __asm__ volatile(".globl n_1, n_2, n_3, n_4\n" WITH_TF "nop\n"
                     "n_1: int $0x81\n"
                     "n_2: nop\n"
                     "n_3: popfq\n"
                     "n_4: nop"
                     :
                     :
                     : "memory", "cc");
}

// iret that sets TF, one instruction, iret that clears it.
static __attribute__((noinline)) void by_iret(void)
{
    __asm__ volatile(
        ".globl i_1, i_2, i_3\n"
        "movq %%rsp, %%rbx; movl %%ss, %%ecx; movl %%cs, %%edx; leaq i_1(%%rip), %%rsi\n"
        "pushq %%rcx; pushq %%rbx; pushfq; movq (%%rsp), %%rdi; orq $0x100, (%%rsp); pushq %%rdx; pushq %%rsi\n"
        "iretq\n"
        "i_1: leaq -40(%%rsp), %%rsp\n"
        "i_2: movq %%rdi, 16(%%rsp)\n"
        "leaq i_3(%%rip), %%rsi; movq %%rsi, (%%rsp); iretq\n"
        "i_3: nop"
        :
        :
        : "rbx", "rcx", "rdx", "rsi", "rdi", "memory", "cc");
}

// What a monitor does for the guest steps as everything else.
static __attribute__((noinline)) void over_sensitive(void)
{
    __asm__ volatile(".globl o_1, o_2\n" WITH_TF "cpuid\n"
                     "o_1: rdtsc; outb %%al, $0x80; inb $0x80, %%al; movq %%cr0, %%rax; movq %%rax, %%cr0\n"
                     "movq %%dr7, %%rax; movl $0xc0000082, %%ecx; rdmsr; wrmsr; invlpg (%%rsp); cli; sldt %%ax\n"
                     "o_2: popfq"
                     :
                     :
                     : "rax", "rbx", "rcx", "rdx", "memory", "cc");
}

// ---- CPL 3 ----

void stepways_entry(void);
extern const char entry_1[], entry_2[], u_1[], u_2[], u_3[], u_4[];
__asm__(".text\n"
        ".globl entry_1, entry_2\n"
        "stepways_entry: nop\n"
        "entry_1: nop\n"
        "entry_2: sysretq\n");

static USER_CODE uint64_t user_syscall(void *arg)
{
    __asm__ volatile(".globl u_1, u_2, u_3, u_4\n"
                     "pushfq; pushfq; orq $0x100, (%%rsp); popfq\n"
                     "nop\n"
                     "u_1: syscall\n"
                     "u_2: nop\n"
                     "u_3: popfq\n"
                     "u_4: nop"
                     :
                     :
                     : "rcx", "r11", "memory", "cc");
    return (uint64_t)arg;
}

static USER_CODE uint64_t user_int3_flags(void *arg) // TF through the int3 that ends every call: the caller sees it
{
    return (uint64_t)arg;
}

static void by_syscall(void)
{
    write_msr(MSR_LSTAR, (uint64_t)stepways_entry);
    write_msr(MSR_SFMASK, FLAG_TF);
    begin();
    CHECK_EQ(run_user(user_syscall, (void *)5), 5);
    // No trap behind syscall, for TF is clear; one behind sysret at once, for it is set again.
    CHECK_NOT_QEMU(STEPPED(u_1, u_2, u_3, u_4));
    write_msr(MSR_SFMASK, 0);
    begin();
    CHECK_EQ(run_user(user_syscall, (void *)6), 6);
    CHECK_NOT_QEMU(STEPPED(u_1, (const char *)stepways_entry, entry_1, entry_2, u_2, u_3, u_4));
    CHECK_NOT_QEMU(seen.count > 3 && (seen.at[1].cs & 3) == 0 && (seen.at[4].cs & 3) == 3);
    begin();
    CHECK_EQ(run_user(user_int3_flags, (void *)7), 7);
    CHECK_EQ(seen.count, 0);
}

int image_main(void)
{
    trap_set(VEC_DB, on_debug);
    trap_set(VEC_UD, on_other);
    trap_set(VECTOR, on_other);
    begin();
    through_a_fault();
    CHECK(STEPPED(f_1, f_3, f_4));
    CHECK(seen.other_rip == (uint64_t)f_1 && seen.other_rflags & FLAG_TF && !(seen.other_inside & FLAG_TF));
    begin();
    through_int_n();
    CHECK(STEPPED(n_1, n_3, n_4));
    CHECK(seen.other_rip == (uint64_t)n_2 && seen.other_rflags & FLAG_TF && !(seen.other_inside & FLAG_TF));
    begin();
    by_iret();
    CHECK_EQ(seen.count, 5);
    CHECK(seen.at[0].rip == (uint64_t)i_2 && seen.at[0].rflags & FLAG_TF);
    CHECK(seen.at[4].rip == (uint64_t)i_3 && !(seen.at[4].rflags & FLAG_TF));
    begin();
    over_sensitive();
    CHECK_EQ(seen.count, 14);
    CHECK(seen.at[0].rip == (uint64_t)o_1 && seen.at[12].rip == (uint64_t)o_2);
    by_syscall();
    return 0;
}
