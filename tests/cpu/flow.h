// SPDX-License-Identifier: BSD-2-Clause
// Makes a short program with the control flow that a translator does by itself: calls and returns in every form, loops,
// indirect jumps, strings, and instructions that fault in the middle. Privileged ones only where no host is to judge.
#ifndef RINGSIDE_TESTS_CPU_FLOW_H
#define RINGSIDE_TESTS_CPU_FLOW_H

#include "tests/cpu/sequence.h"

enum { FLOW_BYTES = 200, FLOW_PIECES = 4 };

struct flow {
    uint64_t *rng;
    struct test_case *t;
    bool ok; // nothing was too long
};

// One instruction by its bytes; gives where it begins.
static unsigned flow_put(struct flow *f, const void *bytes, unsigned n)
{
    struct test_case *t = f->t;
    unsigned at = t->length;
    if (t->insns == MAX_INSNS || at + n > FLOW_BYTES) {
        f->ok = false;
        return 0;
    }
    t->start[t->insns++] = (uint8_t)at;
    memcpy(t->bytes + at, bytes, n);
    t->length += n;
    return at;
}
#define FLOW(f, ...) flow_put(f, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void flow_insn(struct flow *f)
{
    if (f->t->insns == MAX_INSNS || f->t->length + 16 > FLOW_BYTES || !add_insn(f->rng, f->t, one_in(f->rng, 2)))
        f->ok = false;
}

// The short branch at `at` leads here.
static void flow_here(struct flow *f, unsigned at)
{
    f->t->bytes[at + 1] = (uint8_t)(f->t->length - at - 2);
}

// A register other than rsp, rcx.
static unsigned flow_reg(struct flow *f)
{
    for (;;) {
        unsigned r = (unsigned)rng_below(f->rng, 16);
        if (r != RSP && r != RCX)
            return r;
    }
}

static unsigned flow_lea(struct flow *f, unsigned reg) // lea rel32(%rip), %reg
{
    return FLOW(f, (uint8_t)(0x48 | (reg >> 3) << 2), 0x8d, (uint8_t)((reg & 7) << 3 | 5), 0, 0, 0, 0);
}
static void flow_lea_to(struct flow *f, unsigned at, uint64_t target)
{
    uint32_t distance = (uint32_t)(target - (INSN_AT + at + 7));
    memcpy(f->t->bytes + at + 3, &distance, 4);
}
static uint64_t flow_now(const struct flow *f)
{
    return INSN_AT + f->t->length;
}
static void flow_call(struct flow *f, uint64_t to)
{
    uint32_t distance = (uint32_t)(to - (flow_now(f) + 5));
    uint8_t call[5] = {0xe8};
    memcpy(call + 1, &distance, 4);
    flow_put(f, call, 5);
}
static void flow_reg_op(struct flow *f, unsigned digit, unsigned reg) // ff /digit
{
    FLOW(f, (uint8_t)(0x40 | reg >> 3), 0xff, (uint8_t)(0xc0 | digit << 3 | (reg & 7)));
}
static void flow_push(struct flow *f, unsigned reg)
{
    FLOW(f, (uint8_t)(0x40 | reg >> 3), (uint8_t)(0x50 | (reg & 7)));
}
static void flow_imm64(struct flow *f, unsigned reg, uint64_t imm)
{
    uint8_t mov[10] = {(uint8_t)(0x48 | reg >> 3), (uint8_t)(0xb8 | (reg & 7))};
    memcpy(mov + 2, &imm, 8);
    flow_put(f, mov, 10);
}

// ---- Pieces ----

static void flow_jump_over(struct flow *f)
{
    unsigned at = one_in(f->rng, 6) ? FLOW(f, 0xe3, 0) : FLOW(f, (uint8_t)(0x70 | rng_below(f->rng, 16)), 0);
    flow_insn(f);
    flow_here(f, at);
}

static void flow_return(struct flow *f)
{
    if (one_in(f->rng, 4))
        FLOW(f, 0xc2, (uint8_t)(8 * rng_below(f->rng, 4)), 0);
    else if (one_in(f->rng, 8))
        FLOW(f, 0xf3, 0xc3);
    else
        FLOW(f, 0xc3);
}

// A call, directly or through a register or memory; a jump over the function; the function.
static void flow_function(struct flow *f)
{
    unsigned reg = flow_reg(f), lea = 0, way = (unsigned)rng_below(f->rng, 3);
    if (way == 0) {
        flow_call(f, flow_now(f) + 5 + 2);
    } else {
        lea = flow_lea(f, reg);
        if (way == 2) { // push it, call through the stack
            flow_push(f, reg);
            FLOW(f, 0xff, 0x14, 0x24);
        } else {
            flow_reg_op(f, 2, reg);
        }
    }
    unsigned over = FLOW(f, 0xeb, 0);
    if (way)
        flow_lea_to(f, lea, flow_now(f));
    flow_insn(f);
    flow_return(f);
    flow_here(f, over);
}

static void flow_recursion(struct flow *f)
{
    FLOW(f, 0xb9, (uint8_t)(1 + rng_below(f->rng, 6)), 0, 0, 0); // mov $n, %ecx
    flow_call(f, flow_now(f) + 5 + 2);
    unsigned over = FLOW(f, 0xeb, 0);
    uint64_t function = flow_now(f);
    FLOW(f, 0xe2, 1); // loop over the ret
    FLOW(f, 0xc3);
    flow_call(f, function);
    FLOW(f, 0xc3);
    flow_here(f, over);
}

static void flow_indirect(struct flow *f)
{
    unsigned reg = flow_reg(f), lea = flow_lea(f, reg), way = (unsigned)rng_below(f->rng, 3);
    if (way == 0) {
        flow_reg_op(f, 4, reg);
    } else {
        flow_push(f, reg);
        if (way == 1)
            FLOW(f, 0xc3);
        else
            FLOW(f, 0xff, 0x24, 0x24); // jmp *(%rsp)
    }
    if (one_in(f->rng, 2))
        flow_insn(f);
    flow_lea_to(f, lea, flow_now(f));
}

// A body that leaves rcx alone, so that the loop ends.
static void flow_loop(struct flow *f)
{
    FLOW(f, 0xb9, (uint8_t)(1 + rng_below(f->rng, 5)), 0, 0, 0);
    unsigned start = f->t->length;
    switch (rng_below(f->rng, 4)) {
    case 0:
        FLOW(f, 0x48, 0x11, 0xd0); // adc %rdx, %rax
        break;
    case 1:
        FLOW(f, 0x41, 0x50); // push %r8
        break;
    case 2:
        FLOW(f, 0x48, 0xd1, 0xd2); // rcl %rdx
        break;
    default:
        FLOW(f, 0x48, 0x13, 0x04, 0x24); // adc (%rsp), %rax
    }
    if (one_in(f->rng, 2))
        FLOW(f, 0x0f, (uint8_t)(0x40 | rng_below(f->rng, 16)), 0xd8); // cmovcc %eax, %ebx
    unsigned n = f->t->length - start;
    FLOW(f, (uint8_t)(0xe2 - rng_below(f->rng, 3)), (uint8_t)(0 - n - 2)); // loop, loope, loopne
}

static void flow_string(struct flow *f)
{
    static const uint8_t op[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
    unsigned at = flow_lea(f, RSI);
    flow_lea_to(f, at, any_target(f->rng, 8));
    at = flow_lea(f, RDI);
    flow_lea_to(f, at, any_target(f->rng, 8));
    uint32_t n = (uint32_t)rng_below(f->rng, one_in(f->rng, 4) ? 2000 : 20);
    FLOW(f, 0xb9, (uint8_t)n, (uint8_t)(n >> 8), 0, 0);
    FLOW(f, (uint8_t)(0xf2 + rng_below(f->rng, 2)), (uint8_t)(0x40 | rng_below(f->rng, 2) << 3),
         op[rng_below(f->rng, sizeof op)]);
}

static void flow_flags(struct flow *f)
{
    FLOW(f, 0x3c, (uint8_t)rng_below(f->rng, 256)); // cmp $imm, %al: no flag is undefined
    FLOW(f, 0x9c);
    if (one_in(f->rng, 2))
        flow_insn(f);
    else
        FLOW(f, 0x9d);
}

static void flow_stack_pointer(struct flow *f)
{
    switch (rng_below(f->rng, 8)) {
    case 0:
        FLOW(f, 0x48, 0x83, 0xec, (uint8_t)(8 * rng_below(f->rng, 4))); // sub $imm, %rsp
        break;
    case 1:
        FLOW(f, 0x48, 0x83, 0xe4, 0xf0); // and $-16, %rsp
        break;
    case 2:
        FLOW(f, 0x54); // push %rsp
        FLOW(f, 0x5c); // pop %rsp
        break;
    case 3:
        FLOW(f, 0x48, 0x89, 0xe5); // mov %rsp, %rbp
        FLOW(f, 0xc9);             // leave
        break;
    case 4:
        FLOW(f, 0x48, 0x89, 0x64, 0x24, 0xf8); // mov %rsp, -8(%rsp)
        FLOW(f, 0x48, 0x8b, 0x64, 0x24, 0xf8); // mov -8(%rsp), %rsp
        break;
    case 5:
        FLOW(f, 0x48, 0x8d, 0x64, 0x24, 0xf0); // lea -16(%rsp), %rsp
        break;
    case 6:
        FLOW(f, 0xc8, (uint8_t)rng_below(f->rng, 64), 0, (uint8_t)rng_below(f->rng, 3)); // enter
        break;
    default:
        FLOW(f, 0x48, 0x87, 0xec); // xchg %rbp, %rsp
        FLOW(f, 0x48, 0x87, 0xec);
    }
}

// Faults, mostly.
static void flow_fault(struct flow *f)
{
    unsigned reg = flow_reg(f);
    uint64_t bad = one_in(f->rng, 2) ? 1ull << 60 | rng_next(f->rng) : WINDOW - 8 - rng_below(f->rng, 64);
    switch (rng_below(f->rng, 12)) {
    case 0:
        FLOW(f, 0x0f, 0x0b); // ud2
        break;
    case 1:
        FLOW(f, 0x31, 0xc9); // xor %ecx, %ecx; div %ecx
        FLOW(f, 0xf7, 0xf1);
        break;
    case 2:
        FLOW(f, 0xcc);
        break;
    case 3:
        flow_imm64(f, reg, bad);
        FLOW(f, (uint8_t)(0x48 | reg >> 3), 0x8b, (uint8_t)(0x80 | (reg & 7)), 0, 0, 0, 0x00 /* mov 0(%reg), %rax */);
        f->ok &= (reg & 7) != 4;
        break;
    case 4:
        flow_imm64(f, RSP, bad);
        FLOW(f, (uint8_t)(0x50 | rng_below(f->rng, 8)));
        break;
    case 5:
        flow_imm64(f, RSP, bad);
        FLOW(f, 0xc3);
        break;
    case 6: // return to nowhere
        flow_imm64(f, reg, WINDOW - 8);
        flow_push(f, reg);
        flow_return(f);
        break;
    case 7:
        flow_imm64(f, reg, WINDOW - 8);
        flow_reg_op(f, one_in(f->rng, 2) ? 2 : 4, reg);
        break;
    case 8:
        FLOW(f, 0xf0, 0x01, 0xc0); // lock add %eax, %eax
        break;
    case 9:
        flow_imm64(f, RSP, bad);
        flow_call(f, flow_now(f) + 5);
        break;
    case 10:
        FLOW(f, 0x48, 0x0f, 0xc7, 0x4c, 0x24, (uint8_t)rng_below(f->rng, 32)); // cmpxchg16b d(%rsp): aligned or not
        break;
    default:
        flow_imm64(f, RBP, bad);
        FLOW(f, 0xc9);
    }
}

// What only the interpreter may judge: CPL 0.
static void flow_privileged(struct flow *f)
{
    switch (rng_below(f->rng, 12)) {
    case 0:
        FLOW(f, 0xfa);
        break;
    case 1:
        FLOW(f, 0xfb);
        break;
    case 2: // pushf, andl $~IF or orl $IF, popf
        FLOW(f, 0x3c, 0x11);
        FLOW(f, 0x9c);
        if (one_in(f->rng, 2))
            FLOW(f, 0x81, 0x24, 0x24, 0xff, 0xfd, 0xff, 0xff);
        else
            FLOW(f, 0x81, 0x0c, 0x24, 0x00, 0x02, 0x00, 0x00);
        FLOW(f, 0x9d);
        break;
    case 3:
        FLOW(f, (uint8_t)(0xe4 | rng_below(f->rng, 2)), 0x80); // in
        break;
    case 4:
        FLOW(f, (uint8_t)(0xe6 | rng_below(f->rng, 2)), 0x80); // out
        break;
    case 5:
        FLOW(f, 0x0f, 0x20, 0xc0); // mov %cr0, %rax
        break;
    case 6:
        FLOW(f, 0x0f, 0x20, 0xd9); // mov %cr3, %rcx; mov %rcx, %cr3
        FLOW(f, 0x0f, 0x22, 0xd9);
        break;
    case 7:
        FLOW(f, 0x0f, 0x01, 0xf8); // swapgs, twice
        FLOW(f, 0x0f, 0x01, 0xf8);
        break;
    case 8:
        FLOW(f, 0x0f, 0xa2); // cpuid
        break;
    case 9:
        FLOW(f, 0x0f, 0x01, 0x3c, 0x24); // invlpg (%rsp)
        break;
    case 10:
        FLOW(f, 0x0f, 0x00, 0xcb); // str %ebx
        break;
    default:
        FLOW(f, 0xcd, (uint8_t)(0x30 + rng_below(f->rng, 16))); // int
    }
}

static void flow_piece(struct flow *f, bool privileged)
{
    switch (rng_below(f->rng, privileged ? 16 : 12)) {
    case 0:
    case 1:
        flow_insn(f);
        return;
    case 2:
        flow_jump_over(f);
        return;
    case 3:
        flow_function(f);
        return;
    case 4:
        flow_recursion(f);
        return;
    case 5:
        flow_indirect(f);
        return;
    case 6:
        flow_loop(f);
        return;
    case 7:
        flow_string(f);
        return;
    case 8:
        flow_flags(f);
        return;
    case 9:
    case 10:
        flow_stack_pointer(f);
        return;
    case 11:
        if (one_in(f->rng, 2))
            flow_fault(f);
        else
            flow_insn(f);
        return;
    default:
        flow_privileged(f);
    }
}

static bool make_flow(uint64_t *rng, struct test_case *t, bool privileged)
{
    struct flow f = {.rng = rng, .t = t, .ok = true};
    unsigned n = 1 + (unsigned)rng_below(rng, FLOW_PIECES);
    t->name = privileged ? "privileged flow" : "flow";
    if (one_in(rng, 3))
        fill_fpu(rng, t, (enum data)rng_below(rng, DATA_F64 + 1), one_in(rng, 2));
    t->in.gpr[RSP] = one_in(rng, 10) ? any_target(rng, 8) : WINDOW + 1024 + rng_below(rng, WINDOW_RW - 2048);
    if (!one_in(rng, 4))
        t->in.gpr[RSP] &= ~7ull;
    for (unsigned i = 0; i < n && f.ok; i++)
        flow_piece(&f, privileged);
    return f.ok;
}

#endif
