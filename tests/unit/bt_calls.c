// SPDX-License-Identifier: BSD-2-Clause
// Calls and returns of the fast world: where returns land, and what must not get past the check there.
#include "engines/bt/region.h"
#include "engines/bt/tc.h"
#include "tests/unit/bt_guest.h"

static enum vcpu_exit run_at(struct guest *g, uint64_t rip, uint64_t rax, struct vcpu_state *after)
{
    struct vcpu_state s;
    begin_at(g, rip, &s);
    s.gpr[RAX] = rax;
    CHECK_EQ(engine_bt.set_state(&g->vcpu, &s), 0);
    enum vcpu_exit exit = engine_bt.run(&g->vcpu, 0);
    engine_bt.get_state(&g->vcpu, after);
    return exit;
}

// Two loops, one in the other, around a call: it is translated with the way to the inner loop, as the inner loop's
// head, and with the outer loop's head or the way from there. The inner loop's is the one that is called from.
static void landings(bool jump)
{
    // mov $10, %ebx; 1: mov $10, %ecx; jmp .+2; nop; 2: call 3f; dec %ecx; jnz 2b; dec %ebx; jnz 1b; hlt; 3: ret
    static const uint8_t code[] = {0xbb, 10, 0, 0, 0,    0xb9, 10,   0,    0,    0,    0xeb, 0,    0x90, 0xe8,
                                   9,    0,  0, 0, 0xff, 0xc9, 0x75, 0xf7, 0xff, 0xcb, 0x75, 0xeb, 0xf4, 0xc3};
    const uint64_t inner = CODE + 13, back = CODE + 18;
    struct guest g;
    struct vcpu_state s;
    set_up(&g, NULL, code, sizeof code);
    if (!jump)
        memset(g.ram.base + CODE + 10, 0x90, 2);
    CHECK_EQ(run_at(&g, CODE, 0, &s), VCPU_EXIT_HALT);
    CHECK_EQ(s.gpr[RSP], STACK_TOP);
    CHECK_EQ(s.gpr[RCX], 0);
    const struct bt *bt = g.vcpu.engine_data;
    const struct point *point;
    const struct ccf *lands = tc_ccf_at(bt->tc, (const uint8_t *)(uintptr_t)bt->returns[back % TARGETS], &point);
    const struct ccf *ccf;
    unsigned copies = 0;
    for (uint32_t i = 0; (ccf = tc_ccf(bt->tc, i)); i++)
        copies += ccf->rip + ccf->tu_bytes == back;
    CHECK(copies >= 3);
    CHECK(lands && lands->rip == inner && lands->polls);
    tear_down(&g);
}

// A callee returns to another address than the caller's, of which only one bit differs: the landing is found by the low
// 16 bits, and has to see all others. The flags are the guest's on both ways.
static void wrong_address(uint64_t base)
{
    // 1: call 3f; 2: hlt; 3: cmp %rax, %rax; mov (%rsp), %rdx; mov %rax, (%rsp); ret
    static const uint8_t code[] = {0xe8, 1,    0,    0,    0,    0xf4, 0x48, 0x39, 0xc0,
                                   0x48, 0x8b, 0x14, 0x24, 0x48, 0x89, 0x04, 0x24, 0xc3};
    const uint64_t back = base + CODE + 5, flags = FLAG_ZF | FLAG_PF;
    struct guest g;
    struct vcpu_state s;
    set_up(&g, NULL, code, sizeof code);
    for (unsigned bit = 16; bit <= 64; bit++) {
        uint64_t to = bit < 64 ? back ^ 1ull << bit : back;
        bool there = to - base < RAM_BYTES / 2;
        if (there)
            g.ram.base[to - base] = 0xf4;
        engine_bt.get_state(&g.vcpu, &s);
        CHECK_EQ(run_at(&g, base + CODE, to, &s), there ? VCPU_EXIT_HALT : VCPU_EXIT_SHUTDOWN);
        CHECK_EQ(s.gpr[RDX], back);
        CHECK_EQ(s.gpr[RSP], STACK_TOP);
        CHECK_EQ(s.rip, there ? to + 1 : to);
        CHECK_EQ(s.rflags & FLAGS_ARITH, flags);
    }
    CHECK_EQ(*(uint64_t *)(g.ram.base + STACK_TOP - 8), back); // below the stack, as the ret has left it
    tear_down(&g);
}

int main(int argc, char **argv)
{
    (void)argc;
    region_fix_layout(argv);
    char reason[200];
    if (!region_layout_ok(reason, sizeof reason)) {
        SKIP(reason);
        return 0;
    }
    landings(true);
    landings(false);
    wrong_address(0);
    wrong_address(HIGH);
    return check_done("bt_calls");
}
