// SPDX-License-Identifier: BSD-2-Clause
// Everyday instructions that need no sweep: sign extensions, cmov, setcc, lahf and sahf, pushf and popf forms, enter
// and leave, xlat, moves of all widths, high-byte registers, lea with 32-bit addresses (SDM vol. 2).
#include "guest/lib.h"
#include "tests/guest/feature.h"

IMAGE("longops");

#define ALL 0xfedcba9876543210ull

static void extensions(void)
{
    uint64_t a = ALL | 0x80, d = ALL;
    __asm__("cbtw" : "+a"(a));
    CHECK_EQ(a, 0xfedcba987654ff90);
    __asm__("cwtl" : "+a"(a));
    CHECK_EQ(a, 0xffffff90);
    __asm__("cltq" : "+a"(a));
    CHECK_EQ(a, 0xffffffffffffff90);
    __asm__("cwtd" : "+d"(d) : "a"(a));
    CHECK_EQ(d, 0xfedcba987654ffff);
    __asm__("cltd" : "+d"(d) : "a"(1));
    CHECK_EQ(d, 0);
    __asm__("cqto" : "+d"(d) : "a"(1ull << 63));
    CHECK_EQ(d, ~0ull);
    uint64_t r = ALL, s = 0x8091;
    __asm__("movzbl %b1, %k0" : "+r"(r) : "r"(s));
    CHECK_EQ(r, 0x91);
    r = ALL;
    __asm__("movsbw %b1, %w0" : "+r"(r) : "r"(s));
    CHECK_EQ(r, 0xfedcba987654ff91);
    __asm__("movswl %w1, %k0" : "+r"(r) : "r"(s));
    CHECK_EQ(r, 0xffff8091);
    __asm__("movswq %w1, %q0" : "+r"(r) : "r"(s));
    CHECK_EQ(r, 0xffffffffffff8091);
    __asm__("movslq %k1, %q0" : "+r"(r) : "r"(0x80000001ull));
    CHECK_EQ(r, 0xffffffff80000001);
    __asm__("movl %%eax, %%eax" : "+a"(r));
    CHECK_EQ(r, 0x80000001);
}

static void conditions(void)
{
    uint64_t r = ALL, one = 1;
    uint8_t set;
    __asm__("cmpl $1, %k1; cmovel %k1, %k0" : "+r"(r) : "r"(one) : "cc");
    CHECK_EQ(r, 1);
    r = ALL;
    __asm__("cmpl $1, %k1; cmovnel %k1, %k0" : "+r"(r) : "r"(one) : "cc");
    CHECK_EQ(r, (uint32_t)ALL); // not moved, but the upper half is cleared
    r = ALL;
    __asm__("cmpl $1, %k1; cmovnew %w1, %w0" : "+r"(r) : "r"(one) : "cc");
    CHECK_EQ(r, ALL);
    // All sixteen conditions over all flags they look at, by setcc.
#define CONDITION(cc, truth)                                                                                           \
    do {                                                                                                               \
        unsigned bad_ = 0;                                                                                             \
        for (unsigned i = 0; i < 32; i++) {                                                                            \
            bool cf = i & 1, zf = i & 2, sf = i & 4, of = i & 8, pf = i & 16;                                          \
            uint64_t flags = (cf ? FLAG_CF : 0) | (zf ? FLAG_ZF : 0) | (sf ? FLAG_SF : 0) | (of ? FLAG_OF : 0) |       \
                             (pf ? FLAG_PF : 0);                                                                       \
            (void)cf, (void)zf, (void)sf, (void)of, (void)pf;                                                          \
            __asm__("pushq %1; popfq; set" #cc " %0" : "=q"(set) : "r"(flags) : "cc", "memory");                       \
            bad_ += set != (truth);                                                                                    \
        }                                                                                                              \
        check_record(bad_ == 0, "set" #cc, bad_, 0);                                                                   \
    } while (0)
    CONDITION(o, of);
    CONDITION(no, !of);
    CONDITION(b, cf);
    CONDITION(ae, !cf);
    CONDITION(e, zf);
    CONDITION(ne, !zf);
    CONDITION(be, cf || zf);
    CONDITION(a, !cf && !zf);
    CONDITION(s, sf);
    CONDITION(ns, !sf);
    CONDITION(p, pf);
    CONDITION(np, !pf);
    CONDITION(l, sf != of);
    CONDITION(ge, sf == of);
    CONDITION(le, zf || sf != of);
    CONDITION(g, !zf && sf == of);
}

static void flag_moves(void)
{
    uint64_t a = 0, flags;
    if (HAS_LAHF) {
        __asm__("pushq $0x8d7; popfq; movl $0, %%eax; lahf" : "+a"(a) : : "cc", "memory");
        CHECK_EQ(a, 0xd700);
        __asm__("pushq $2; popfq; sahf; pushfq; popq %0" : "=r"(flags) : "a"(0xff00) : "cc", "memory");
        CHECK_EQ(flags, 0xd7);
    } else {
        skip("no lahf in 64-bit mode");
    }
    __asm__("pushq $2; popfq; stc; cmc; pushfq; popq %0" : "=r"(flags) : : "cc", "memory");
    CHECK_EQ(flags, FLAG_FIXED1);
    __asm__("clc; cmc; std; pushfq; popq %0; cld" : "=r"(flags) : : "cc", "memory");
    CHECK_EQ(flags & (FLAG_CF | FLAG_DF), FLAG_CF | FLAG_DF);
    uint64_t rsp_moved;
    __asm__("movq %%rsp, %1; pushq $2; popfq; stc; pushfw; subq %%rsp, %1; popw %w0; movzwl %w0, %k0"
            : "=&r"(flags), "=&r"(rsp_moved)
            :
            : "cc", "memory");
    CHECK(flags == 3 && rsp_moved == 2);
    // popfw leaves the upper flags: ID stays set.
    __asm__("pushq %1; popfq; pushw $0x0002; popfw; pushfq; popq %0; pushq $2; popfq"
            : "=r"(flags)
            : "r"((uint64_t)FLAG_ID | FLAG_CF)
            : "cc", "memory");
    CHECK_EQ(flags, FLAG_ID | FLAG_FIXED1);
}

static void stack_forms(void)
{
    uint64_t r, low, moved;
    __asm__("movq %%rsp, %2; pushw $0x1234; pushw $-2; movl (%%rsp), %k0; subq %%rsp, %2; addq $4, %%rsp; xorl %k1, %k1"
            : "=&r"(r), "=&r"(low), "=&r"(moved)
            :
            : "cc", "memory");
    CHECK(r == 0x1234fffe && moved == 4);
    __asm__("pushq $-5; popq %0" : "=r"(r) : : "memory");
    CHECK_EQ(r, -5ull);
    __asm__("movq %%rsp, %1; pushq %%rsp; popq %0" : "=&r"(r), "=&r"(low) : : "memory");
    CHECK_EQ(r, low); // the value before the push
    __asm__("movq %%rsp, %1; pushq %1; popq %%rsp; movq %%rsp, %0" : "=&r"(r), "=&r"(low) : : "memory");
    CHECK_EQ(r, low);
    // pop to memory by rsp: the address is formed after rsp has moved.
    __asm__("pushq $1; pushq $2; popq (%%rsp); popq %0" : "=&r"(r) : : "memory");
    CHECK_EQ(r, 2);
    uint64_t frame, inner;
    __asm__("movq %%rbp, %%rcx; movq %%rsp, %%rdx; enter $32, $0; movq %%rbp, %0; movq %%rsp, %1; leave\n"
            "subq %%rdx, %0; subq %%rdx, %1; subq %%rsp, %%rdx; subq %%rbp, %%rcx; orq %%rcx, %%rdx; movq %%rdx, %2"
            : "=&r"(frame), "=&r"(inner), "=&r"(moved)
            :
            : "rcx", "rdx", "cc", "memory");
    CHECK(frame == -8ull && inner == -40ull && moved == 0);
}

static void registers(void)
{
    uint64_t a = ALL, b = 0;
    __asm__("movb %%ah, %%bl; movb $0x77, %%ah; movb %%al, %%bh" : "+a"(a), "+b"(b));
    CHECK(a == 0xfedcba9876547710 && b == 0x1032);
    uint64_t c = ALL, d = 0x1111;
    __asm__("addb %%ch, %%dh; movb %%dl, %%ch; xchgb %%ch, %%cl" : "+c"(c), "+d"(d) : : "cc");
    CHECK(d == 0x4311 && c == 0xfedcba9876541011);
    uint64_t r;
    __asm__("movq %1, %%rsi; movb $0x55, %%sil; movq %%rsi, %0" : "=r"(r) : "r"(ALL) : "rsi"); // with rex: not dh
    CHECK_EQ(r, (ALL & ~0xffull) | 0x55);
    __asm__("movq %1, %%r12; movb $0x66, %%r12b; movw $0x1234, %%r12w; movq %%r12, %0" : "=r"(r) : "r"(ALL) : "r12");
    CHECK_EQ(r, (ALL & ~0xffffull) | 0x1234);
    __asm__("movq %1, %%r12; movl $1, %%r12d; movq %%r12, %0" : "=r"(r) : "r"(ALL) : "r12");
    CHECK_EQ(r, 1);
    __asm__("movq $-3, %0" : "=r"(r));
    CHECK_EQ(r, -3ull);
    __asm__("movabsq $0x123456789abcdef0, %0" : "=r"(r));
    CHECK_EQ(r, 0x123456789abcdef0);
}

static void addresses(void)
{
    uint64_t base = 0xffffffff00000010, index = 0x10000, r;
    __asm__("leaq 5(%1, %2, 4), %0" : "=r"(r) : "r"(base), "r"(index));
    CHECK_EQ(r, 0xffffffff00040015);
    __asm__("leal 5(%1, %2, 4), %k0" : "=r"(r) : "r"(base), "r"(index));
    CHECK_EQ(r, 0x40015);
    __asm__("leaw 5(%1), %w0" : "+r"(r) : "r"(0xffffull));
    CHECK_EQ(r, 0x40004);
    __asm__("leaq -0x20(%k1), %0" : "=r"(r) : "r"(base)); // 0x67: the sum is cut to 32 bits
    CHECK_EQ(r, 0xfffffff0);
    __asm__("leaq 0x10(, %1, 8), %0" : "=r"(r) : "r"(index));
    CHECK_EQ(r, 0x80010);
    static uint64_t word = 0x4711;
    uint64_t low = phys_of(&word);
    __asm__("movq 0x10(%k1), %0" : "=r"(r) : "r"((low - 0x10) | 0x7700000000), "m"(word));
    CHECK_EQ(r, 0x4711);
    uint8_t table[256];
    for (unsigned i = 0; i < 256; i++)
        table[i] = (uint8_t)(255 - i);
    r = ALL;
    __asm__("xlatb" : "+a"(r) : "b"(table) : "memory");
    CHECK_EQ(r, (ALL & ~0xffull) | (255 - 0x10));
    // rax to and from a 64-bit absolute address.
    uint64_t a = 0;
    __asm__("movabsq word_at, %0" : "=a"(a) : "m"(word));
    CHECK_EQ(a, 0x4712);
    __asm__ volatile("loop_here: decl %k0; loop loop_here" : "=&r"(r), "=&c"(a) : "0"(100), "1"(10) : "cc");
    CHECK(r == 90 && a == 0);
    __asm__ volatile("xorl %k0, %k0; jrcxz 1f; incl %k0; 1:" : "=r"(r) : "c"(0) : "cc");
    CHECK_EQ(r, 0);
    __asm__ volatile("xorl %k0, %k0; jecxz 1f; incl %k0; 1:" : "=r"(r) : "c"(1ull << 32) : "cc");
    CHECK_EQ(r, 0);
}
__asm__(".data\nword_at: .quad 0x4712\n.text");

int image_main(void)
{
    extensions();
    conditions();
    flag_moves();
    stack_forms();
    registers();
    addresses();
    return 0;
}
