// SPDX-License-Identifier: BSD-2-Clause
// Which stack an exception takes: the running one at CPL 0, rsp0 from CPL 3, the IST's whenever the gate names one;
// always aligned to 16 first, and the frame has the old ss:rsp (SDM vol. 3, 6.14.2, 6.14.5).
#include "tests/guest/access.h"

IMAGE("ist");

static struct {
    struct trap_frame frame;
    uint64_t end; // the address behind the frame
} seen;

static void on_undefined(struct trap_frame *frame)
{
    seen.frame = *frame;
    seen.end = (uint64_t)(frame + 1);
    frame->rip += 2; // ud2
}

static void on_page_fault(struct trap_frame *frame)
{
    seen.frame = *frame;
    seen.end = (uint64_t)(frame + 1);
    *pte_of(TEST_VA, 1) = phys_of(page_alloc()) | PTE_P;
}

// ud2 with rsp off its alignment by so many bytes; its rsp there.
static uint64_t undefined(uint64_t off)
{
    uint64_t rsp;
    __asm__ volatile("movq %%rsp, %%rbx; andq $-16, %%rsp; subq %1, %%rsp; movq %%rsp, %0; ud2; movq %%rbx, %%rsp"
                     : "=&r"(rsp)
                     : "r"(off)
                     : "rbx", "memory", "cc");
    return rsp;
}

static USER_CODE uint64_t user_undefined(void *arg)
{
    uint64_t rsp;
    (void)arg;
    __asm__ volatile("movq %%rsp, %0; ud2" : "=&r"(rsp) : : "memory", "cc");
    return rsp;
}

static void gate(unsigned vector, unsigned ist)
{
    idt_set_raw(vector, (void (*)(void))(trap_stubs + (size_t)vector * TRAP_STUB_BYTES), ist, 0);
}

int image_main(void)
{
    uint64_t first = (uint64_t)page_alloc() + PAGE, second = (uint64_t)page_alloc() + PAGE;
    uint64_t third = (uint64_t)page_alloc() + PAGE;
    trap_set(VEC_UD, on_undefined);
    for (unsigned off = 0; off < 16; off += 5) {
        uint64_t rsp = undefined(off);
        CHECK_EQ(seen.end, rsp & ~15ull);
        CHECK_EQ(seen.frame.rsp, rsp);
        CHECK_EQ(seen.frame.ss, KERNEL_DS);
    }
    tss_set_rsp0(first - 8);
    uint64_t rsp = run_user(user_undefined, NULL);
    CHECK_EQ(seen.end, first - 16);
    CHECK_EQ(seen.frame.rsp, rsp);
    CHECK(seen.frame.ss == USER_DS && seen.frame.cs == USER_CS);
    for (unsigned ist = 1; ist <= 7; ist++) {
        tss_set_ist(ist, second - ist * 64 - ist);
        gate(VEC_UD, ist);
        rsp = undefined(0);
        CHECK_EQ(seen.end, (second - ist * 64 - ist) & ~15ull);
        CHECK_EQ(seen.frame.rsp, rsp);
    }
    rsp = run_user(user_undefined, NULL); // from CPL 3 too
    CHECK_EQ(seen.end, (second - 7 * 64 - 7) & ~15ull);
    CHECK_EQ(seen.frame.rsp, rsp);
    trap_set(VEC_PF, on_page_fault); // with an error code
    tss_set_ist(2, third);
    gate(VEC_PF, 2);
    map_page(TEST_VA, 0, 0);
    load((void *)TEST_VA);
    CHECK_EQ(seen.end, third);
    return 0;
}
