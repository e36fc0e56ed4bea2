// SPDX-License-Identifier: BSD-2-Clause
// What user code's TLB must not know any more: accesses that have just hit, in every form that engines are quick at
// (operands, stack, calls, absolute addresses), again after their page was remapped, protected, made clean or made code
// (SDM vol. 3, 4.10.4). And pages that share a place in a TLB, accesses across two, and addresses that are none.
#include "tests/guest/access.h"
#include "tests/guest/judge.h"

IMAGE("usertlb");

#define VA TEST_VA
#define NEXT (VA + PAGE)
#define LOW_VA 0xfffffffff0000000ull // reached by an absolute address of 32 bits
#define USER_RW (PTE_P | PTE_W | PTE_U)

static uint8_t *frame[4]; // none beside another
static USER_DATA struct {
    uint64_t va, value;
} with;

// ---- User code: each reads or writes at with.va ----

#define USER_ASM(name, text)                                                                                           \
    static USER_CODE uint64_t name(void *arg)                                                                          \
    {                                                                                                                  \
        uint64_t result;                                                                                               \
        __asm__ volatile("movq %%rsp, %%rbx; movq %%rbp, %%r12; movq 8(%%rdi), %%rdx; movq (%%rdi), %%rdi\n" text "\n" \
                         "movq %%rbx, %%rsp; movq %%r12, %%rbp"                                                        \
                         : "=&a"(result), "+D"(arg)                                                                    \
                         :                                                                                             \
                         : "rbx", "rcx", "rdx", "r8", "r12", "r14", "r15", "memory", "cc");                            \
        return result;                                                                                                 \
    }
USER_ASM(load8, "movq (%%rdi), %%rax")
USER_ASM(store8, "movq %%rdx, (%%rdi); movl $0, %%eax")
USER_ASM(add8, "addq %%rdx, (%%rdi); movq (%%rdi), %%rax")
USER_ASM(load_parked, "movq %%rdi, %%r15; movl $1, %%r14d; movl $-8, %%ecx; movslq %%ecx, %%rcx;"
                      "movq (%%r15,%%rcx), %%rax; movq -8(%%rcx,%%r15), %%r14; movq (%%r15), %%rcx;"
                      "movq %%rcx, %%rax")
USER_ASM(load_low, "movq 0xfffffffff0000010, %%rax")
USER_ASM(store_low, "movq %%rdx, 0xfffffffff0000010; movl $0, %%eax")
USER_ASM(load_stack, "movq %%rdi, %%rsp; movq (%%rsp), %%rax")
USER_ASM(push8, "leaq 8(%%rdi), %%rsp; pushq %%rdx; movq %%rsp, %%rax")
USER_ASM(pop8, "movq %%rdi, %%rsp; popq %%rax")
USER_ASM(leave8, "movq %%rdi, %%rbp; leave; movq %%rbp, %%rax")
USER_ASM(call8, "leaq 8(%%rdi), %%rsp; call 1f; 1: popq %%rax; leaq 1b(%%rip), %%rdx; subq %%rdx, %%rax")
USER_ASM(ret8, "leaq 8(%%rdi), %%rsp; leaq 1f(%%rip), %%rdx; pushq %%rdx; ret; ud2; 1: movq %%rsp, %%rax")
USER_ASM(jump8, "leaq 1f(%%rip), %%rdx; movq %%rdx, (%%rdi); jmp *(%%rdi); ud2; 1: movl $5, %%eax")
USER_ASM(run_code, "call *%%rdi")

static uint64_t at(uint64_t (*fn)(void *), uint64_t va, uint64_t value)
{
    with.va = va;
    with.value = value;
    return run_user(fn, &with);
}

static uint64_t *word(unsigned n, unsigned offset)
{
    return (uint64_t *)(frame[n] + offset);
}

struct attempt {
    uint64_t (*fn)(void *);
    uint64_t va;
};

static void attempt(void *arg)
{
    struct attempt *a = arg;
    at(a->fn, a->va, 1);
}

static uint64_t user_fault(uint64_t (*fn)(void *), uint64_t va, uint64_t cr2)
{
    struct attempt a = {fn, va};
    struct caught c = catch_fault(attempt, &a);
    if (c.vector < 0)
        return NO_FAULT;
    return c.vector == VEC_PF && c.cr2 == cr2 ? c.error : OTHER_FAULT | (uint64_t)c.vector << 4 | c.error;
}
#define OTHER(vector) (OTHER_FAULT | (uint64_t)(vector) << 4)

// ---- What the kernel does while user code stands still, at a ud2 ----

static struct {
    uint64_t entry; // of VA from now on
    bool reload;    // by a load of cr3
} meanwhile;

static void at_ud2(struct trap_frame *trap)
{
    trap->rip += 2;
    *pte_of(VA, 1) = meanwhile.entry;
    if (meanwhile.reload)
        write_cr3(read_cr3());
    else
        invlpg((void *)VA);
}

USER_ASM(pop_after, "leaq 8(%%rdi), %%rsp; pushq %%rdx; popq %%rdx; pushq %%rdx; ud2; popq %%rax")
USER_ASM(push_after, "leaq 16(%%rdi), %%rsp; pushq %%rdx; popq %%rdx; pushq %%rdx; ud2; pushq %%rdx; movl $0, %%eax")
USER_ASM(load_after, "movq (%%rdi), %%rax; ud2; movq (%%rdi), %%rax")
USER_ASM(store_after, "movq %%rdx, (%%rdi); ud2; movq %%rdx, (%%rdi); movl $0, %%eax")
USER_ASM(wild_after, "ud2; movq %%rdi, %%rsp; popq %%rax")
// Code, called with its own page as the stack, overwritten by a push, and called again: 256 times the second result
// and the first.
USER_ASM(
    code_on_stack,
    "leaq 0x108(%%rdi), %%rsp; pushq %%rdx; popq %%rdx; pushq %%rdx; leaq 0x800(%%rdi), %%rsp; leaq 0x100(%%rdi), %%r8;"
    "call *%%r8; movl %%eax, %%r14d; leaq 0x108(%%rdi), %%rsp; addq $0x100, %%rdx; pushq %%rdx;"
    "leaq 0x800(%%rdi), %%rsp; call *%%r8; shll $8, %%eax; addl %%r14d, %%eax")

// ---- Tests ----

static void use(unsigned n)
{
    remap(VA, phys_of(frame[n]) | USER_RW);
}

static void remapped(void)
{
    for (unsigned i = 0; i < 4; i++) {
        *word(i, 0) = 100 + i;
        use(i);
        CHECK_EQ(at(load8, VA, 0), 100 + i);
        CHECK_EQ(at(load_parked, VA + 16, 0), *word(i, 16));
        CHECK_EQ(at(load_stack, VA, 0), 100 + i);
        CHECK_EQ(at(pop8, VA, 0), 100 + i);
        CHECK_EQ(at(leave8, VA, 0), 100 + i);
        at(store8, VA, 200 + i);
        CHECK_EQ(*word(i, 0), 200 + i);
        CHECK_EQ(at(push8, VA + 8, 300 + i), VA + 8);
        CHECK_EQ(*word(i, 8), 300 + i);
        CHECK_EQ(at(call8, VA + 16, 0), 0);
        CHECK_EQ(at(ret8, VA + 24, 0), VA + 32);
        CHECK_EQ(at(jump8, VA + 40, 0), 5);
        CHECK_EQ(at(add8, VA, 5), 205 + i);
    }
    use(0);
    CHECK_EQ(at(load8, VA, 0), 205);
    *pte_of(VA, 1) = phys_of(frame[1]) | USER_RW; // a load of cr3 lets go of it, too
    write_cr3(read_cr3());
    CHECK_EQ(at(load8, VA, 0), 206);
    CHECK_EQ(at(load_stack, VA, 0), 206);
}

static void changed_meanwhile(void)
{
    trap_set(VEC_UD, at_ud2);
    for (unsigned i = 0; i < 8; i++) {
        meanwhile.reload = i & 1;
        meanwhile.entry = phys_of(frame[1]) | USER_RW;
        *word(1, 0) = 500 + i;
        use(0);
        CHECK_EQ(at(pop_after, VA, 1), 500 + i);
        use(0);
        CHECK_EQ(at(load_after, VA, 0), 500 + i);
        use(0);
        at(store_after, VA, 600 + i);
        CHECK_EQ(*word(1, 0), 600 + i);
        use(0);
        at(push_after, VA, 700 + i);
        CHECK_EQ(*word(1, 0), 700 + i);
        meanwhile.entry = phys_of(frame[0]) | PTE_P | PTE_U;
        use(0);
        CHECK_EQ(user_fault(push_after, VA, VA), PF_PRESENT | PF_WRITE | PF_USER);
        use(0);
        CHECK_EQ(user_fault(store_after, VA, VA), PF_PRESENT | PF_WRITE | PF_USER);
        meanwhile.entry = 0;
        use(0);
        CHECK_EQ(user_fault(load_after, VA, VA), PF_USER);
        use(0);
        CHECK_EQ(user_fault(pop_after, VA, VA), PF_USER);
    }
}

static void absolute(void)
{
    map_page(LOW_VA, phys_of(frame[0]), USER_RW);
    for (unsigned i = 0; i < 4; i++) {
        remap(LOW_VA, phys_of(frame[i]) | USER_RW);
        at(store_low, 0, 400 + i);
        CHECK_EQ(*word(i, 0x10), 400 + i);
        CHECK_EQ(at(load_low, 0, 0), 400 + i);
    }
    remap(LOW_VA, phys_of(frame[0]) | PTE_P | PTE_U);
    CHECK_EQ(user_fault(store_low, 0, LOW_VA + 0x10), PF_PRESENT | PF_WRITE | PF_USER);
    CHECK_EQ(at(load_low, 0, 0), 400);
    remap(LOW_VA, 0);
    CHECK_EQ(user_fault(load_low, 0, LOW_VA + 0x10), PF_USER);
}

static void protected(void)
{
    static uint64_t (*const writes[])(void *) = {store8, add8, push8, call8, ret8, jump8};
    for (unsigned i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        use(0);
        at(writes[i], VA + 64, 1);
        remap(VA, phys_of(frame[0]) | PTE_P | PTE_U);
        CHECK_EQ(user_fault(writes[i], VA + 64, VA + 64), PF_PRESENT | PF_WRITE | PF_USER);
        CHECK_EQ(at(pop8, VA + 64, 0), *word(0, 64));
        use(0);
        at(writes[i], VA + 64, 1);
        remap(VA, phys_of(frame[0]) | PTE_P | PTE_W);
        CHECK_EQ_NOT_QEMU(user_fault(writes[i], VA + 64, VA + 64), PF_PRESENT | PF_WRITE | PF_USER);
        CHECK_EQ(user_fault(pop8, VA + 64, VA + 64), PF_PRESENT | PF_USER);
        CHECK_EQ(user_fault(load8, VA + 64, VA + 64), PF_PRESENT | PF_USER);
    }
}

static void dirty(void)
{
    static uint64_t (*const writes[])(void *) = {store8, add8, push8, call8};
    for (unsigned i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        use(0);
        CHECK_EQ(*pte_of(VA, 1) & (PTE_A | PTE_D), 0);
        at(load8, VA, 0);
        at(pop8, VA, 0);
        at(load_stack, VA, 0);
        CHECK_EQ(*pte_of(VA, 1) & (PTE_A | PTE_D), PTE_A);
        at(writes[i], VA, 1);
        CHECK_EQ(*pte_of(VA, 1) & PTE_D, PTE_D);
        change_bits(VA, 1, PTE_D, 0);
        at(load8, VA, 0);
        CHECK_EQ(*pte_of(VA, 1) & PTE_D, 0);
        at(writes[i], VA, 1);
        CHECK_EQ(*pte_of(VA, 1) & PTE_D, PTE_D);
    }
}

// Accesses across two pages, which are none in RAM; the second one of them not there at last.
static void crossing(void)
{
    use(0);
    map_page(NEXT, phys_of(frame[2]), USER_RW);
    remap(NEXT, phys_of(frame[2]) | USER_RW);
    at(store8, VA + 8, 1);
    at(store8, NEXT, 0);
    for (unsigned i = 1; i < 8; i++) {
        uint64_t value = 0x8877665544332211 + i;
        at(i % 2 ? store8 : push8, NEXT - i, value);
        CHECK_EQ(at(load8, NEXT - i, 0), value);
        CHECK_EQ(at(pop8, NEXT - i, 0), value);
        CHECK_EQ(at(load_stack, NEXT - i, 0), value);
        CHECK_EQ(*word(2, 0) & (~0ull >> 8 * i), value >> 8 * i);
        CHECK_EQ(at(add8, NEXT - i, 0x0101010101010101), value + 0x0101010101010101);
    }
    CHECK_EQ(at(push8, NEXT - 8, 7), NEXT - 8); // down from one page into the other
    CHECK_EQ(at(call8, NEXT, 7), 0);
    CHECK_EQ(at(ret8, NEXT - 8, 7), NEXT);
    remap(NEXT, 0);
    CHECK_EQ(user_fault(store8, NEXT - 4, NEXT), PF_WRITE | PF_USER);
    CHECK_EQ(user_fault(push8, NEXT - 4, NEXT), PF_WRITE | PF_USER);
    CHECK_EQ(user_fault(pop8, NEXT - 1, NEXT), PF_USER);
}

// Code that user code writes: warm as data, then run, then written again.
static void code(void)
{
    const uint64_t mov_ret = 0xc300000000b8; // mov $imm, %eax; ret
    for (unsigned i = 0; i < 4; i++) {       // no code has been there before
        use(i);
        CHECK_EQ(at(code_on_stack, VA, mov_ret | i << 8), (i + 1) << 8 | i);
    }
    for (unsigned i = 1; i < 6; i++) {
        at(store8, VA + 0x100, mov_ret | i << 8);
        CHECK_EQ(at(run_code, VA + 0x100, 0), i);
        at(push8, VA + 0x100, mov_ret | (i + 10) << 8);
        CHECK_EQ(at(run_code, VA + 0x100, 0), i + 10);
        at(add8, VA + 0x100, 0x100);
        CHECK_EQ(at(run_code, VA + 0x100, 0), i + 11);
        CHECK_EQ(at(code_on_stack, VA, mov_ret | i << 8), (i + 1) << 8 | i);
        at(store8, VA + 0x800, i); // the same page, but no code
        CHECK_EQ(at(load8, VA + 0x800, 0), i);
    }
}

// Many pages, and pairs that any TLB of a power of two has in one place.
static void crowded(void)
{
    enum { PAGES = 600 };
    for (unsigned i = 0; i < PAGES; i++)
        map_page(VA + i * PAGE, phys_of(frame[i % 4]), USER_RW);
    for (unsigned i = 0; i < PAGES; i++)
        at(store8, VA + i * PAGE + 8 * (i / 4), i);
    for (unsigned i = 0; i < PAGES; i++) {
        CHECK_EQ(at(load8, VA + i * PAGE + 8 * (i / 4), 0), i);
        CHECK_EQ(*word(i % 4, 8 * (i / 4)), i);
    }
    for (unsigned step = 64; step <= 512; step *= 2) {
        CHECK_EQ(at(load8, VA + 8, 0), 4);
        CHECK_EQ(at(load8, VA + step * PAGE + 8 * (step / 4), 0), step);
        CHECK_EQ(at(pop8, VA + 8, 0), 4);
        CHECK_EQ(at(pop8, VA + step * PAGE + 8 * (step / 4), 0), step);
    }
}

static void not_canonical(void)
{
    static const uint64_t places[] = {1ull << 63, 1ull << 47, 0xffff7ffffffffff8, 0x7fffffffffffff00, VA ^ 1ull << 62};
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        use(0);
        at(push8, VA, 1);
        CHECK_EQ(user_fault(load8, places[i], 0), OTHER(VEC_GP));
        CHECK_EQ(user_fault(store8, places[i], 0), OTHER(VEC_GP));
        CHECK_EQ_NOT_QEMU(user_fault(pop8, places[i], 0), OTHER(VEC_SS));
        CHECK_EQ_NOT_QEMU(user_fault(push8, places[i], 0), OTHER(VEC_SS));
        CHECK_EQ_NOT_QEMU(user_fault(leave8, places[i], 0), OTHER(VEC_SS));
        CHECK_EQ_NOT_QEMU(user_fault(load_stack, places[i], 0), OTHER(VEC_SS));
        meanwhile.entry = 0;
        meanwhile.reload = true; // and with nothing known at all
        CHECK_EQ_NOT_QEMU(user_fault(wild_after, places[i], 0), OTHER(VEC_SS));
        CHECK_EQ_NOT_QEMU(user_fault(ret8, places[i], 0), OTHER(VEC_SS));
    }
}

// Unaligned accesses that have hit, once alignment is checked.
USER_ASM(load_ac, "pushfq; orq $0x40000, (%%rsp); popfq; movq (%%rdi), %%rax; pushfq; andq $~0x40000, (%%rsp); popfq")

static void alignment(void)
{
    use(0);
    at(store8, VA + 3, 77);
    CHECK_EQ(at(load8, VA + 3, 0), 77);
    CHECK_EQ_NOT_QEMU(user_fault(load_ac, VA + 3, 0), OTHER(VEC_AC));
    CHECK_EQ(at(load_ac, VA + 8, 0), *word(0, 8));
    CHECK_EQ(at(load8, VA + 3, 0), 77);
}

int image_main(void)
{
    for (unsigned i = 0; i < 4; i++) {
        frame[3 - i] = page_alloc();
        page_alloc();
    }
    map_page(VA, 0, 0);
    remapped();
    changed_meanwhile();
    absolute();
    protected();
    dirty();
    crossing();
    code();
    crowded();
    not_canonical();
    alignment();
    return 0;
}
