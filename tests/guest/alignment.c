// SPDX-License-Identifier: BSD-2-Clause
// Alignment checks: at CPL 3 with cr0.AM and rflags.AC both set, and else never (SDM vol. 3, 6.15, interrupt 17).
#include "guest/insn.h"
#include "guest/lib.h"
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"

IMAGE("alignment");

static USER_DATA uint64_t words[4];

#define USER_ACCESS(name, text)                                                                                        \
    static USER_CODE uint64_t name(void *arg)                                                                          \
    {                                                                                                                  \
        __asm__ volatile("pushfq; orq %1, (%%rsp); popfq; " text "; pushfq; andq %2, (%%rsp); popfq"                   \
                         :                                                                                             \
                         : "D"(arg), "i"(FLAG_AC), "i"(~FLAG_AC)                                                       \
                         : "rax", "memory", "cc");                                                                     \
        return 0;                                                                                                      \
    }
USER_ACCESS(load1, "movb (%%rdi), %%al");
USER_ACCESS(load2, "movw (%%rdi), %%ax");
USER_ACCESS(load4, "movl (%%rdi), %%eax");
USER_ACCESS(load8, "movq (%%rdi), %%rax");
USER_ACCESS(store8, "movq %%rax, (%%rdi)");
USER_ACCESS(save_environment, "fnstenv (%%rdi)");
USER_ACCESS(restore_all, "frstor (%%rdi)");
USER_ACCESS(restore_by_rbp, "pushq %%rbp; movq %%rdi, %%rbp; frstor (%%rbp); popq %%rbp");
USER_ACCESS(fxsave_by_rbp, "pushq %%rbp; movq %%rdi, %%rbp; fxsave (%%rbp); popq %%rbp");

static USER_CODE uint64_t without_ac(void *arg)
{
    return *(volatile uint64_t *)arg;
}

struct access {
    uint64_t (*fn)(void *);
    void *where;
};

static void run(void *arg)
{
    struct access *a = arg;
    run_user(a->fn, a->where);
}

static struct caught try(uint64_t (*fn)(void *), unsigned offset)
{
    struct access a = {fn, (char *)words + offset};
    return catch_fault(run, &a);
}

static struct caught try_at(uint64_t (*fn)(void *), uint64_t va)
{
    struct access a = {fn, (void *)va};
    return catch_fault(run, &a);
}

// Areas of the x87 state: an address that is not canonical comes before its alignment.
static void areas(void)
{
    CHECK_EQ_NOT_QEMU(try(restore_all, 1).vector, VEC_AC);
    CHECK_EQ_NOT_QEMU(try(save_environment, 2).vector, VEC_AC);
    CHECK_EQ_NOT_QEMU(try_at(restore_by_rbp, 0x800000000001).vector, VEC_SS);
    CHECK_EQ_NOT_QEMU(try_at(fxsave_by_rbp, 0x800000000004).vector, VEC_SS);
}

int image_main(void)
{
    CHECK(read_cr0() & CR0_AM);
    struct caught c = try(load8, 4);
    CHECK_EQ_NOT_QEMU(c.vector, VEC_AC); // QEMU has no alignment checks
    CHECK_EQ(c.error, 0);
    CHECK_EQ_NOT_QEMU(try(store8, 17).vector, VEC_AC);
    CHECK_EQ_NOT_QEMU(try(load4, 2).vector, VEC_AC);
    CHECK_EQ_NOT_QEMU(try(load2, 1).vector, VEC_AC);
    CHECK_EQ(try(load1, 1).vector, -1);
    CHECK_EQ(try(load8, 8).vector, -1);
    CHECK_EQ(try(load4, 4).vector, -1);
    CHECK_EQ(try(load2, 2).vector, -1);
    CHECK_EQ(try(without_ac, 1).vector, -1);
    if (HAS_FPU && HAS_FXSR)
        areas();
    write_cr0(read_cr0() & ~(uint64_t)CR0_AM);
    CHECK_EQ(try(load8, 4).vector, -1);
    write_cr0(read_cr0() | CR0_AM);
    write_flags(FLAG_AC);
    uint64_t v = *(volatile uint64_t *)((char *)words + 1); // CPL 0
    write_flags(0);
    CHECK_EQ(v, 0);
    return 0;
}
