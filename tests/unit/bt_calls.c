// SPDX-License-Identifier: BSD-2-Clause
// Calls and returns of the fast world: where returns land, and what must not get past the check there.
#include "engines/bt/tc.h"
#include "tests/unit/bt_guest.h"
#include "tests/unit/bt_possible.h"
#include "tests/unit/host_features.h"

static enum vcpu_exit run_at(struct guest *g, uint64_t rip, uint64_t rax, struct vcpu_state *after)
{
    struct vcpu_state s;
    begin_at(g, rip, &s);
    s.cr4 |= CR4_OSFXSR;
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

// Where the host call goes, to whatever it is chained.
static const uint8_t *goes_to(const struct site *site)
{
    int32_t distance;
    memcpy(&distance, site->field, sizeof distance);
    return site->field + 4 + distance;
}

static const struct site *the_call(struct tc *tc)
{
    const struct site *found = NULL;
    for (uint32_t i = 1; i < tc_site_count(tc); i++)
        if (tc_site(tc, i)->calls)
            found = tc_site(tc, i);
    return found;
}

// A call leads straight to the code in front of a callee that was translated for it; to a jump, to one that was there
// before, by another way, or that uses vector registers and has a guard.
static void chained(bool jump_first, bool vector)
{
    // push $1f; jmp 3f (or: nops); 1: mov $3, %ecx; 2: call 3f; dec %ecx; jnz 2b; hlt; 3: xorps %xmm0, %xmm0 (or: nop);
    // ret
    uint8_t code[] = {0x68, 10, 0x80, 0, 0, 0xe9, 15,   0,    0,    0,    0xb9, 3,    0,    0,   0,
                      0xe8, 5,  0,    0, 0, 0xff, 0xc9, 0x75, 0xf7, 0xf4, 0x0f, 0x57, 0xc0, 0xc3};
    struct guest g;
    struct vcpu_state s;
    struct cpuid_leaf leaves[HOST_FEATURES_LEAVES];
    if (!jump_first)
        memset(code, 0x90, 10);
    if (!vector)
        memset(code + 25, 0x90, 3);
    set_up(&g, NULL, code, sizeof code);
    g.vcpu.cpuid = host_features(leaves);
    CHECK_EQ(run_at(&g, CODE, 0, &s), VCPU_EXIT_HALT);
    CHECK_EQ(s.gpr[RSP], STACK_TOP);
    CHECK_EQ(s.gpr[RCX], 0);
    CHECK_EQ(*(uint64_t *)(g.ram.base + STACK_TOP - 8), CODE + 20);
    struct tc *tc = ((struct bt *)g.vcpu.engine_data)->tc;
    const struct site *site = the_call(tc);
    if (!CHECK(site && site->to))
        return;
    const struct ccf *to = site->to;
    CHECK_EQ(to->rip, CODE + 25);
    bool straight = !jump_first && !vector;
    CHECK(tc_is_hot(tc, goes_to(site)) == straight);
    CHECK(straight ? goes_to(site) == to->called && to->called < to->start : tc_contains(tc, goes_to(site)));
    tear_down(&g);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!bt_possible(argv))
        return 0;
    landings(true);
    landings(false);
    chained(false, false);
    chained(true, false);
    chained(false, true);
    wrong_address(0);
    wrong_address(HIGH);
    return check_done("bt_calls");
}
