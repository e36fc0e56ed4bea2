// SPDX-License-Identifier: BSD-2-Clause
// Far calls through call gates, within CPL 0 and from CPL 3, with the stack switch and the gate's DPL (SDM vol.
// 3, 5.8.3 to 5.8.6; vol. 2, CALL).
#include "tests/guest/descriptors.h"

IMAGE("callgate");

static uint64_t table[LIBRARY_ENTRIES + OWN_ENTRIES] __attribute__((aligned(16)));

enum entry { CODE0, GATE0, GATE0_HIGH, GATE3, GATE3_HIGH };
#define SELECTOR(entry) ((uint64_t)OWN_SELECTOR(entry))
#define TYPE_CALL_GATE 12

static uint16_t read_cs(void)
{
    uint16_t cs;
    __asm__ volatile("movw %%cs, %0" : "=r"(cs));
    return cs;
}

// A far pointer with 32 bits of offset: the form with 64 is Intel's alone.
struct far_pointer {
    uint32_t offset;
    uint16_t selector;
} __attribute__((packed));

// The callee of far calls: notes cs and returns far, dropping what is below the return address by the caller.
extern const char far_callee[];
static struct {
    uint64_t cs, rsp, ss;
} seen;
__asm__(".text\n.globl far_callee\nfar_callee: movw %cs, %ax; movzwl %ax, %eax; movq %rax, seen_cs\n"
        "movq %rsp, seen_rsp; movw %ss, %ax; movzwl %ax, %eax; movq %rax, seen_ss; lretq\n"
        ".bss\nseen_cs: .quad 0\nseen_rsp: .quad 0\nseen_ss: .quad 0\n.text");
extern uint64_t seen_cs, seen_rsp, seen_ss;

static void note(void)
{
    seen.cs = seen_cs, seen.rsp = seen_rsp, seen.ss = seen_ss;
}

// On the identity map's alias of the stack, because QEMU cuts rsp to 32 bits on the way.
static void far_call(void *pointer)
{
    __asm__ volatile("movq %%rsp, %%rbx; subq %1, %%rsp; lcall *(%0); movq %%rbx, %%rsp"
                     :
                     : "r"(pointer), "i"((int64_t)KERNEL_VIRT_BASE)
                     : "rax", "rbx", "memory", "cc");
    note();
}

static void call_gate(enum entry entry, unsigned dpl, const void *target, uint64_t selector)
{
    uint64_t offset = (uint64_t)target;
    table[LIBRARY_ENTRIES + entry] =
        (offset & 0xffff) | selector << 16 | D_TYPE(TYPE_CALL_GATE) | D_DPL(dpl) | D_P | (offset >> 16 & 0xffff) << 48;
    table[LIBRARY_ENTRIES + entry + 1] = offset >> 32;
}

static bool gives(void (*fn)(void *), void *arg, int vector, uint64_t error)
{
    struct caught c = catch_fault(fn, arg);
    return c.vector == vector && (vector < 0 || c.error == error);
}

static void within_cpl0(void)
{
    struct far_pointer p = {0x1234, (uint16_t)SELECTOR(GATE0)}; // the offset is the gate's
    far_call(&p);
    CHECK_EQ(seen.cs, SELECTOR(CODE0));
    CHECK_EQ(read_cs(), KERNEL_CS);
}

static USER_DATA struct far_pointer user_pointer;

static USER_CODE uint64_t user_far_call(void *arg)
{
    uint64_t rsp, after;
    __asm__ volatile("movq %%rsp, %0; lcall *(%2); movq %%rsp, %1"
                     : "=&r"(rsp), "=&r"(after)
                     : "r"(arg)
                     : "rax", "memory");
    return rsp == after;
}

static uint64_t result;
static void at_cpl3(void *arg)
{
    result = run_user(user_far_call, arg);
}

static void from_cpl3(void)
{
    uint64_t stack = (uint64_t)page_alloc() + 4096;
    tss_set_rsp0(stack);
    user_pointer = (struct far_pointer){0, (uint16_t)(SELECTOR(GATE3) | 3)};
    CHECK(gives(at_cpl3, &user_pointer, -1, 0));
    CHECK_EQ(result, 1); // rsp is back where it was
    note();
    CHECK_EQ(seen.cs, KERNEL_CS);
    CHECK_EQ(seen.rsp, stack - 32); // ss, rsp, cs, rip
    CHECK_EQ(seen.ss, 0);           // null, with the new CPL as RPL
    user_pointer.selector = (uint16_t)(SELECTOR(GATE0) | 3);
    CHECK(gives(at_cpl3, &user_pointer, VEC_GP, SELECTOR(GATE0)));
}

int image_main(void)
{
    own_gdt(table);
    table[LIBRARY_ENTRIES + CODE0] = CODE64_DESCRIPTOR(0);
    call_gate(GATE0, 0, far_callee, SELECTOR(CODE0));
    call_gate(GATE3, 3, far_callee, KERNEL_CS);
    within_cpl0();
    from_cpl3();
    return 0;
}
