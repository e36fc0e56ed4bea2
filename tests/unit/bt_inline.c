// SPDX-License-Identifier: BSD-2-Clause
// What lookups within the translation cache are made of: host instructions against Capstone's disassembly, in all
// registers; which registers an instruction uses and changes; and what the TLB's tags and stores-allowed marks say.
// That the whole is right is for bt_cpu and tests/guest/usertlb to say.
#include <stdlib.h>
#include <sys/mman.h>

#include "engines/bt/code.h"
#include "engines/bt/memory.h"
#include "engines/bt/region.h"
#include "engines/bt/tlb.h"
#include "tests/unit/check.h"

enum { BUFFER = 4096 };

struct test {
    struct x86_decoder d;
    uint8_t *buffer;
    struct code code;
};

static struct code *start(struct test *t)
{
    t->code = (struct code){.at = t->buffer, .end = t->buffer + BUFFER};
    return &t->code;
}

// The one instruction that was written.
static struct insn written(struct test *t)
{
    struct insn in;
    size_t n = (size_t)(t->code.at - t->buffer);
    if (!x86_decode(&t->d, t->buffer, n, (uintptr_t)t->buffer, &in))
        memset(&in, 0, sizeof in);
    CHECK_EQ(in.length, n);
    return in;
}

static bool is_reg(const struct x86_operand *o, unsigned reg, unsigned size)
{
    return o->kind == OPERAND_GPR && o->reg == reg && o->size == size;
}

static bool is_place(const struct x86_operand *o, const struct place *p)
{
    return o->kind == OPERAND_MEM && o->mem.base == p->base && o->mem.index == p->index && o->mem.disp == p->disp &&
           o->mem.shift == 0 && o->mem.seg == X86_NO_SEG;
}

// ---- Pieces ----

static void two_registers(struct test *t, unsigned a, unsigned b)
{
    put_mov_reg(start(t), a, b);
    struct insn in = written(t);
    CHECK(in.id == X86_INS_MOV && is_reg(&in.op[0], a, 8) && is_reg(&in.op[1], b, 8));
    put_rorx(start(t), a, b, 12);
    in = written(t);
    CHECK(in.id == X86_INS_RORX && is_reg(&in.op[0], a, 8) && is_reg(&in.op[1], b, 8) && in.op[2].imm == 12);
    put_shrx(start(t), a, RCX, b);
    in = written(t);
    CHECK(in.id == X86_INS_SHRX && is_reg(&in.op[0], a, 8) && is_reg(&in.op[1], RCX, 8) && is_reg(&in.op[2], b, 8));
    put_shrx(start(t), RCX, a, b);
    in = written(t);
    CHECK(in.id == X86_INS_SHRX && is_reg(&in.op[0], RCX, 8) && is_reg(&in.op[1], a, 8) && is_reg(&in.op[2], b, 8));
    for (unsigned size = 1; size <= 2; size++) {
        put_movzx(start(t), a, b, size);
        in = written(t);
        CHECK(in.id == X86_INS_MOVZX && is_reg(&in.op[0], a, 4) && is_reg(&in.op[1], b, size));
    }
    if (b == RSP)
        return;
    put_load_indexed(start(t), a, 0x181234, b);
    in = written(t);
    CHECK(in.id == X86_INS_MOV && is_reg(&in.op[0], a, 8) && in.op[1].mem.base == X86_NO_REG);
    CHECK(in.op[1].mem.index == b && in.op[1].mem.shift == 3 && in.op[1].mem.disp == 0x181234);
}

static void one_register(struct test *t, unsigned a)
{
    put_lea_cell(start(t), a, &((struct bt *)BT_REGION)->targets);
    struct insn in = written(t);
    CHECK(in.id == X86_INS_LEA && is_reg(&in.op[0], a, 8));
    CHECK_EQ(in.op[1].mem.disp, (int64_t)(uintptr_t)((struct bt *)BT_REGION)->targets);
    put_load_indexed(start(t), a, 0x181230, X86_NO_REG);
    in = written(t);
    CHECK(in.op[1].mem.index == X86_NO_REG && in.op[1].mem.base == X86_NO_REG && in.op[1].mem.disp == 0x181230);
}

static void places(struct test *t)
{
    static const int32_t disps[] = {0, -12, 127, -129, 0x12345678};
    static const uint8_t lock_add[] = {0xf0, 0x4c, 0x01, 0x94, 0xc8, 0x10, 0, 0, 0}; // %r10 to 16(%rax,%rcx,8)
    struct insn guest, in;
    CHECK(x86_decode(&t->d, lock_add, sizeof lock_add, 0, &guest));
    for (unsigned i = 0; i < 16 * 17 * 5; i++) {
        struct place p = {.base = i % 16, .index = (uint8_t)(i / 16 % 17), .disp = disps[i / 272]};
        if (p.index == RSP)
            continue;
        put_on_place(start(t), 0x89, i % 16, &p);
        in = written(t);
        CHECK(in.id == X86_INS_MOV && is_place(&in.op[0], &p) && is_reg(&in.op[1], i % 16, 8));
        put_with_place(start(t), lock_add, &guest, &p);
        in = written(t);
        CHECK(in.id == X86_INS_ADD && in.lock && is_place(&in.op[0], &p) && is_reg(&in.op[1], R10, 8));
    }
}

// lea of any operand: the same base, index, scale and displacement.
static void operands(struct test *t)
{
    for (unsigned i = 0; i < 17 * 17 * 4 * 2; i++) {
        struct insn guest = {.addr_size = i / 1156 ? 4 : 8}, in;
        struct x86_operand o = {.kind = OPERAND_MEM};
        o.mem.base = (uint8_t)(i % 17), o.mem.index = (uint8_t)(i / 17 % 17), o.mem.shift = i / 289 % 4;
        o.mem.seg = X86_NO_SEG, o.mem.disp = -1000 + (int64_t)i;
        if (o.mem.index == RSP || (o.mem.base == X86_NO_REG && o.mem.index == X86_NO_REG))
            continue;
        put_lea_operand(start(t), i % 16, &guest, &o);
        in = written(t);
        CHECK(in.id == X86_INS_LEA && is_reg(&in.op[0], i % 16, guest.addr_size) && in.addr_size == 8);
        CHECK(in.op[1].mem.base == o.mem.base && in.op[1].mem.index == o.mem.index && in.op[1].mem.disp == o.mem.disp);
        CHECK(o.mem.index == X86_NO_REG || in.op[1].mem.shift == o.mem.shift);
    }
}

// ---- Registers ----

#define A (1u << RAX)
#define C (1u << RCX)
#define D (1u << RDX)
#define B (1u << RBX)

static void register_sets(struct test *t)
{
    static const struct {
        const char *bytes;
        uint32_t used, changed, overwritten;
    } rows[] = {
        {"\x89\xd8", A | B, A, A},             // mov %ebx, %eax
        {"\x88\xd8", A | B, A, 0},             // mov %bl, %al
        {"\x8b\x40\x08", A, A, 0},             // mov 8(%rax), %eax
        {"\x8b\x03", A | B, A, A},             // mov (%rbx), %eax
        {"\x89\x03", A | B, 0, 0},             // mov %eax, (%rbx)
        {"\x01\xd8", A | B, A, 0},             // add %ebx, %eax
        {"\xd3\xe0", A | C, A | C, 0},         // shl %cl, %eax
        {"\xc1\xe0\x03", A, A, 0},             // shl $3, %eax
        {"\xd1\xe0", A, A, 0},                 // shl %eax
        {"\x0f\xa4\xd8\x03", A | B, A, 0},     // shld $3, %ebx, %eax
        {"\x0f\xa5\xd8", A | B | C, A | C, 0}, // shld %cl, %ebx, %eax
        {"\x87\x03", A | B, A, 0},             // xchg %eax, (%rbx)
        {"\x87\xd8", A | B, A | B, 0},         // xchg %ebx, %eax
        {"\x0f\xb1\x0b", A | B | C, A, 0},     // cmpxchg %ecx, (%rbx)
        {"\xf7\xf3", A | B | D, A | B | D, 0}, // div %ebx
        {"\xf7\x33", A | B | D, A | D, 0},     // divl (%rbx)
        {"\x0f\xb6\xc3", A | B, A, A},         // movzbl %bl, %eax
        {"\x66\x0f\xb6\xc3", A | B, A, 0},     // movzbw %bl, %ax
        {"\x48\x8d\x04\x18", A | B, A, 0},     // lea (%rax,%rbx), %rax
        {"\x48\x8d\x04\x0b", A | B | C, A, A}, // lea (%rbx,%rcx), %rax
        {"\x58", A, A, A},                     // pop %rax
        {"\x50", A, 0, 0},                     // push %rax
        {"\x99", A | D, A | D, 0},             // cltd
        {"\xf2\x0f\x10\x03", B, 0, 0},         // movsd (%rbx), %xmm0
        {"\xf2\x0f\x11\xc8", 0, 0, 0},         // movsd %xmm1, %xmm0
        {"\xf2\x0f\xc2\x03\x01", B, 0, 0},     // cmpltsd (%rbx), %xmm0
        {"\xf2\x0f\x2c\x03", A | B, A, 0},     // cvttsd2si (%rbx), %eax
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct insn in;
        const uint8_t *bytes = (const uint8_t *)rows[i].bytes;
        CHECK(x86_decode(&t->d, bytes, strlen(rows[i].bytes), 0, &in));
        uint32_t used = registers_used(&in) & ~(1u << RSP), changed = registers_changed(&in) & ~(1u << RSP);
        CHECK_EQ(used, rows[i].used);
        CHECK(!(rows[i].changed & A) == !(changed & A)); // it may say too much, but never too little
        CHECK(rows[i].changed || !changed);              // and costs a store of each register where nothing changes
        CHECK_EQ(rows[i].changed & ~changed, 0);
        CHECK_EQ(registers_overwritten(&in), rows[i].overwritten);
        CHECK_EQ(changed & ~used, 0);
    }
}

// ---- Tags ----

static void tags(struct tlb *tlb)
{
    const struct tlb_table *table = &tlb->table[TLB_USER];
    const struct translation walked = {.page_size = GUEST_PAGE_SIZE};
    uint8_t *host = (uint8_t *)0x7fff00000000;
    for (unsigned i = 0; i < 4 * TLB_SIZE; i++) { // nothing is in there
        uint64_t va = (uint64_t)i * GUEST_PAGE_SIZE;
        for (unsigned size = 1; size <= 64; size *= 2)
            for (unsigned to_end = 0; to_end <= size; to_end++)
                CHECK(!tlb_hit(table->read[tlb_slot(va - to_end)], va - to_end, size));
    }
    uint64_t va = 0x7000000ff000;
    tlb_fill(tlb, TLB_USER, va + 8, 0, &walked, host, true);
    CHECK(tlb_hit(table->read[tlb_slot(va)], va, 1) && tlb_host(table, va + 17) == host + 17);
    CHECK(tlb_hit(table->read[tlb_slot(va)], va + 4088, 8) && !tlb_hit(table->read[tlb_slot(va)], va + 4089, 8));
    CHECK(!tlb_hit(table->read[tlb_slot(va - 1)], va - 1, 8));
    CHECK(!tlb_hit(table->store[tlb_slot(va)], va, 8) && !tlb_hit(table->write[tlb_slot(va)], va, 8));
    tlb_fill(tlb, TLB_USER, va, PF_WRITE, &walked, host, false); // traced
    CHECK(!tlb_hit(table->store[tlb_slot(va)], va, 8) && tlb_hit(table->write[tlb_slot(va)], va, 8));
    tlb_allow_stores(tlb, TLB_USER, va);
    CHECK(tlb_hit(table->store[tlb_slot(va)], va, 8));
    tlb_forbid_stores(tlb, host + GUEST_PAGE_SIZE);
    CHECK(tlb_hit(table->store[tlb_slot(va)], va, 8));
    tlb_forbid_stores(tlb, host);
    CHECK(!tlb_hit(table->store[tlb_slot(va)], va, 8) && tlb_hit(table->write[tlb_slot(va)], va, 8));
    for (unsigned i = 0; i < 2 * TLB_FLUSH_FEW; i++) // more than are remembered
        tlb_fill(tlb, TLB_USER, va + i * GUEST_PAGE_SIZE, PF_WRITE, &walked, host + i * GUEST_PAGE_SIZE, true);
    tlb_forbid_stores(tlb, host + 100 * GUEST_PAGE_SIZE);
    uint64_t last = va + 100 * GUEST_PAGE_SIZE;
    CHECK(!tlb_hit(table->store[tlb_slot(last)], last, 8) && tlb_hit(table->store[tlb_slot(va)], va, 8));
    tlb_flush(tlb);
    CHECK(!tlb_hit(table->read[tlb_slot(va)], va, 8) && !tlb_hit(table->write[tlb_slot(last)], last, 8));
}

// A global page in the slot of another one is not kept with the address space that the other one was of.
static void global_in_a_local_slot(struct tlb *tlb)
{
    const struct tlb_table *table = &tlb->table[TLB_KERNEL];
    const struct translation local = {.page_size = GUEST_PAGE_SIZE};
    const struct translation global = {.page_size = GUEST_PAGE_SIZE, .global = true};
    uint8_t *host = (uint8_t *)0x7fff00000000;
    uint64_t first = 0x400000, second = first + TLB_SIZE * GUEST_PAGE_SIZE, beside = first + GUEST_PAGE_SIZE;
    tlb_fill(tlb, TLB_KERNEL, first, 0, &local, host, true);
    tlb_fill(tlb, TLB_KERNEL, beside, 0, &local, host, true);
    tlb_fill(tlb, TLB_KERNEL, second, 0, &global, host, true);
    tlb_park(tlb, 0x1001, 0);
    tlb_invlpg(tlb, second);
    tlb_unpark(tlb, 0x1001, true, 0);
    CHECK(tlb_hit(table->read[tlb_slot(beside)], beside, 1));
    CHECK(!tlb_hit(table->read[tlb_slot(second)], second, 1));
}

int main(void)
{
    static struct test t;
    char err[200] = "";
    struct bt *bt = region_create(err, sizeof err);
    t.buffer = mmap((void *)(BT_REGION + 0x1000000), BUFFER, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (!CHECK(bt != NULL) || !CHECK(t.buffer != MAP_FAILED) || !CHECK(x86_decoder_open(&t.d) == 0))
        return check_done("bt_inline");
    for (unsigned i = 0; i < 256; i++)
        two_registers(&t, i % 16, i / 16);
    for (unsigned i = 0; i < 16; i++)
        one_register(&t, i);
    places(&t);
    operands(&t);
    register_sets(&t);
    struct tlb *tlb = tlb_create();
    if (CHECK(tlb != NULL)) {
        tags(tlb);
        global_in_a_local_slot(tlb);
        tlb_destroy(tlb);
    }
    x86_decoder_close(&t.d);
    region_destroy(bt);
    return check_done("bt_inline");
}
