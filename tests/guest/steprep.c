// SPDX-License-Identifier: BSD-2-Clause
// Single steps where an instruction is more than one: a repeated string instruction traps after each iteration with rip
// still on it, a mov to ss holds the trap back for one instruction, and CPL 3 can
// step itself (SDM vol. 2, REP, MOV; vol. 3, 6.8.3, 17.3.1.4).
#include "guest/insn.h"
#include "guest/lib.h"

IMAGE("steprep");

#define STEPS 16
static struct {
    unsigned count;
    uint64_t rip[STEPS], rcx[STEPS];
} seen;

static void on_debug(struct trap_frame *frame)
{
    if (seen.count < STEPS) {
        seen.rip[seen.count] = frame->rip;
        seen.rcx[seen.count] = frame->rcx;
    }
    seen.count++;
}

extern const char rep_at[], rep_after[], ss_first[], ss_second[], ss_third[], user_1[], user_2[], user_3[];

static __attribute__((noinline)) void repeated(void)
{
    char from[4] = "abc", to[4] = "";
    const char *si = from;
    char *di = to;
    uint64_t rcx = 3;
    __asm__ volatile(".globl rep_at, rep_after\n"
                     "pushfq; pushfq; orq %3, (%%rsp); popfq\n"
                     "rep_at: rep movsb\n"
                     "rep_after: popfq"
                     : "+S"(si), "+D"(di), "+c"(rcx)
                     : "i"(FLAG_TF)
                     : "memory", "cc");
    CHECK(to[0] == 'a' && to[2] == 'c');
    CHECK_EQ(seen.count, 4);
    CHECK(seen.rip[0] == (uint64_t)rep_at && seen.rcx[0] == 2);
    CHECK(seen.rip[1] == (uint64_t)rep_at && seen.rcx[1] == 1);
    CHECK(seen.rip[2] == (uint64_t)rep_after && seen.rcx[2] == 0);
}

static __attribute__((noinline)) void stack_segment(void)
{
    seen.count = 0;
    __asm__ volatile(".globl ss_first, ss_second, ss_third\n"
                     "movl %%ss, %%eax; pushfq; pushfq; orq %0, (%%rsp); popfq\n"
                     "nop\n"
                     "ss_first: movl %%eax, %%ss\n"
                     "ss_second: nop\n"
                     "ss_third: popfq"
                     :
                     : "i"(FLAG_TF)
                     : "rax", "memory", "cc");
    CHECK_EQ(seen.count, 3);
    CHECK_EQ(seen.rip[0], (uint64_t)ss_first);
    CHECK_EQ(seen.rip[1], (uint64_t)ss_third);
}

static USER_CODE uint64_t user_steps(void *arg)
{
    __asm__ volatile(".globl user_1, user_2, user_3\n"
                     "pushfq; orq %0, (%%rsp); popfq\n"
                     "nop\n"
                     "user_1: pushfq\n"
                     "user_2: andq %1, (%%rsp)\n"
                     "user_3: popfq"
                     :
                     : "i"(FLAG_TF), "i"(~FLAG_TF)
                     : "memory", "cc");
    return (uint64_t)arg + 1;
}

int image_main(void)
{
    trap_set(VEC_DB, on_debug);
    repeated();
    stack_segment();
    seen.count = 0;
    CHECK_EQ(run_user(user_steps, (void *)1), 2);
    CHECK_EQ(seen.count, 4);
    CHECK(seen.rip[0] == (uint64_t)user_1 && seen.rip[1] == (uint64_t)user_2 && seen.rip[2] == (uint64_t)user_3);
    return 0;
}
