// SPDX-License-Identifier: BSD-2-Clause
// Guest instructions as the translator carries them over, run on this CPU beside the instruction itself: the same
// registers, flags and memory afterwards, and at faults the registers of the instruction's start.
#include "engines/bt/code.h"

#include <asm/prctl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/unit/check.h"

enum { CODE = 1 << 16, DATA = 3 << 12 };

static struct bt *const bt = (struct bt *)BT_REGION;

struct test {
    struct x86_decoder d;
    uint8_t *code_page; // behind struct bt
    uint8_t *data;      // what guest instructions work on, and behind it a page that faults
    uint8_t before[DATA], native[DATA];
};

struct cpu {
    uint64_t gpr[GPR_COUNT], flags;
};

// ---- Running code with all registers set ----
static sigjmp_buf fault_return;
static struct cpu fault_cpu;
static uint64_t fault_rip;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    static const int greg[GPR_COUNT] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                        REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    const ucontext_t *u = context;
    (void)signal;
    (void)info;
    for (unsigned i = 0; i < GPR_COUNT; i++)
        fault_cpu.gpr[i] = (uint64_t)u->uc_mcontext.gregs[greg[i]];
    fault_rip = (uint64_t)u->uc_mcontext.gregs[REG_RIP];
    siglongjmp(fault_return, 1);
}

static void put_enter(struct code *code)
{
    put_bytes(code, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10); // push what C code wants back
    put_store(code, &bt->host_rsp, RSP);
    put_load(code, RAX, &bt->flags);
    put_bytes(code, "\x50\x9d", 2); // push %rax, popf
    for (unsigned i = 0; i < GPR_COUNT; i++)
        put_load(code, i, &bt->gpr[i]);
}

static void put_exit(struct code *code)
{
    for (unsigned i = 0; i < GPR_COUNT; i++)
        put_store(code, &bt->gpr[i], i);
    put_load(code, RSP, &bt->host_rsp);
    put_bytes(code, "\x9c\x58", 2); // pushf, pop %rax
    put_store(code, &bt->flags, RAX);
    put_bytes(code, "\xfc\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 12); // cld, pops, ret
}

// Runs what was written between put_enter and put_exit. False: it faulted; cpu is as the signal handler saw it.
static bool execute(struct test *t, struct cpu *cpu)
{
    memcpy(bt->gpr, cpu->gpr, sizeof bt->gpr);
    bt->flags = cpu->flags | 2;
    if (sigsetjmp(fault_return, 1)) {
        *cpu = fault_cpu;
        return false;
    }
    ((void (*)(void))(uintptr_t)t->code_page)();
    memcpy(cpu->gpr, bt->gpr, sizeof bt->gpr);
    cpu->flags = bt->flags & (FLAGS_ARITH | FLAG_DF);
    return true;
}

enum { DEAD = R9 }; // a register that nobody reads
enum way {
    IDENT,
    BIASED,
    BASE,
    UNBIASED,
    UNBIASED_DEAD,
    UNBIASED_SCRATCH,
    WITH_BASE_RSP,
    STRING,
    LEAVE,
    LEA,
    SEGMENTED
};

static bool carry(struct code *code, enum way way, const uint8_t *bytes, const struct insn *in, struct displaced *d)
{
    *d = (struct displaced){0};
    switch (way) {
    case IDENT:
        put_ident(code, bytes, in);
        return true;
    case BIASED:
        return put_biased(code, bytes, in);
    case BASE:
        put_with_base(code, bytes, in, pick_scratch(in, 0));
        return true;
    case UNBIASED:
    case UNBIASED_DEAD:
        return put_rsp_unbiased(code, bytes, in, way == UNBIASED, 0, d);
    case UNBIASED_SCRATCH:
        return put_rsp_unbiased(code, bytes, in, true, 1u << DEAD, d);
    case WITH_BASE_RSP:
        put_with_base_rsp(code, bytes, in, R11);
        return true;
    case STRING:
        return put_biased_string(code, bytes, in, d);
    case LEAVE:
        return put_leave(code, in);
    case LEA:
        put_lea(code, bytes, in, WORLD_FAST);
        return true;
    case SEGMENTED:
        return put_segmented(code, bytes, in, d);
    }
    return false;
}

// Writes and runs one instruction. *at: where its code begins.
static bool run(struct test *t, enum way way, const uint8_t *bytes, unsigned length, struct cpu *cpu,
                struct displaced *d, const uint8_t **at)
{
    struct insn in;
    struct code code = {.at = t->code_page, .end = t->code_page + CODE};
    CHECK(x86_decode(&t->d, bytes, length, 0x401000, &in) && in.length == length);
    put_enter(&code);
    *at = code.at;
    if (!CHECK(carry(&code, way, bytes, &in, d)))
        return false;
    put_exit(&code);
    return execute(t, cpu);
}

static void fill(struct test *t)
{
    for (unsigned i = 0; i < DATA; i++)
        t->before[i] = (uint8_t)(i * 37 + (i >> 8) * 11 + 3);
}

// Pointers into the data, and numbers.
static struct cpu registers(const struct test *t)
{
    struct cpu cpu = {.flags = FLAG_CF | FLAG_ZF};
    for (unsigned i = 0; i < GPR_COUNT; i++)
        cpu.gpr[i] = 0x1122334455667788u * (i + 3u) ^ 0x0fedcba987654321u << i;
    cpu.gpr[RDX] = 5; // div
    cpu.gpr[RCX] = 3; // counts
    cpu.gpr[R11] = (uintptr_t)t->data + 0x800;
    cpu.gpr[RSP] = (uintptr_t)t->data + 0x1000;
    cpu.gpr[RBP] = (uintptr_t)t->data + 0x1800;
    cpu.gpr[RSI] = (uintptr_t)t->data + 0x2000;
    cpu.gpr[RDI] = (uintptr_t)t->data + 0x2800;
    return cpu;
}

struct row {
    enum way way;
    uint8_t length;
    const char *bytes;
    uint32_t addresses; // registers that hold guest addresses for the carried-over form: minus BT_BIAS
};
#define ROW(way, addresses, bytes)                                                                                     \
    {                                                                                                                  \
        way, sizeof(bytes) - 1, bytes, addresses                                                                       \
    }
#define AT_R11 (1u << R11)

static const struct row rows[] = {
    ROW(BIASED, AT_R11, "\x49\x01\x03"),                          // add %rax, (%r11)
    ROW(BIASED, AT_R11, "\x49\x13\x43\x10"),                      // adc 16(%r11), %rax
    ROW(BIASED, AT_R11, "\x66\x41\x81\x03\x34\x12"),              // addw $0x1234, (%r11)
    ROW(BIASED, AT_R11, "\xf0\x41\x0f\xc1\x1b"),                  // lock xadd %ebx, (%r11)
    ROW(BIASED, AT_R11, "\xf0\x49\x0f\xb1\x1b"),                  // lock cmpxchg %rbx, (%r11)
    ROW(BIASED, AT_R11, "\x41\xd3\x2b"),                          // shrl %cl, (%r11)
    ROW(BIASED, AT_R11, "\x41\xf7\x33"),                          // divl (%r11)
    ROW(BIASED, AT_R11, "\x41\x0f\xb6\x44\x8b\x05"),              // movzbl 5(%r11,%rcx,4), %eax
    ROW(BIASED, AT_R11, "\x41\x80\x7b\x02\x55"),                  // cmpb $0x55, 2(%r11)
    ROW(BIASED, AT_R11, "\x49\x0f\xc7\x0b"),                      // cmpxchg16b (%r11)
    ROW(BIASED, AT_R11, "\xf3\x49\x0f\xb8\x03"),                  // popcnt (%r11), %rax
    ROW(BIASED, AT_R11, "\xc4\xc2\xf8\xf2\x1b"),                  // andn (%r11), %rax, %rbx
    ROW(BIASED, 0, "\x48\x89\x44\x24\x08"),                       // mov %rax, 8(%rsp)
    ROW(BIASED, 1u << RBP, "\x48\x89\x45\xf8"),                   // mov %rax, -8(%rbp)
    ROW(BIASED, 1u << RSI, "\x88\x66\x01"),                       // mov %ah, 1(%rsi)
    ROW(BIASED, AT_R11, "\x45\x0f\xb7\x24\x0b"),                  // movzwl (%r11,%rcx), %r12d
    ROW(IDENT, 0, "\x50"),                                        // push %rax
    ROW(IDENT, 0, "\x66\x54"),                                    // push %sp
    ROW(STRING, 1u << RSI | 1u << RDI, "\xf3\x48\xa5"),           // rep movsq
    ROW(STRING, 1u << RSI | 1u << RDI, "\xa4"),                   // movsb
    ROW(STRING, 1u << RSI | 1u << RDI, "\x66\xf3\xab"),           // rep stosw
    ROW(STRING, 1u << RSI | 1u << RDI, "\xac"),                   // lodsb
    ROW(STRING, 1u << RSI | 1u << RDI, "\xf2\xae"),               // repne scasb
    ROW(STRING, 1u << RSI | 1u << RDI, "\xf3\xa6"),               // repe cmpsb
    ROW(LEAVE, 1u << RBP, "\xc9"),                                // leave
    ROW(UNBIASED, 0, "\x48\x89\xe5"),                             // mov %rsp, %rbp
    ROW(UNBIASED, 0, "\x48\x89\xec"),                             // mov %rbp, %rsp
    ROW(UNBIASED, 0, "\x4c\x89\xe4"),                             // mov %r12, %rsp
    ROW(UNBIASED, 0, "\x48\x89\xe4"),                             // mov %rsp, %rsp
    ROW(UNBIASED, 0, "\x89\xe4"),                                 // mov %esp, %esp
    ROW(UNBIASED, 0, "\x89\xc4"),                                 // mov %eax, %esp
    ROW(UNBIASED, 0, "\x89\xe0"),                                 // mov %esp, %eax
    ROW(UNBIASED, 0, "\x66\x89\xc4"),                             // mov %ax, %sp
    ROW(UNBIASED, 0, "\x40\x88\xc4"),                             // mov %al, %spl
    ROW(UNBIASED, 0, "\x48\xc7\xc4\x00\x00\x00\x80"),             // mov $-0x80000000, %rsp
    ROW(UNBIASED, 0, "\xbc\x00\x00\x00\x80"),                     // mov $0x80000000, %esp
    ROW(UNBIASED, 0, "\x48\xbc\x88\x77\x66\x55\x44\x33\x22\x11"), // movabs $0x1122334455667788, %rsp
    ROW(UNBIASED, 0, "\x48\x83\xc4\x08"),                         // add $8, %rsp
    ROW(UNBIASED, 0, "\x48\x81\xec\x00\x10\x00\x00"),             // sub $0x1000, %rsp
    ROW(UNBIASED, 0, "\x48\x83\xe4\xf0"),                         // and $-16, %rsp
    ROW(UNBIASED, 0, "\x48\x83\xe4\x70"),                         // and $0x70, %rsp
    ROW(UNBIASED, 0, "\x83\xc4\x08"),                             // add $8, %esp
    ROW(UNBIASED, 0, "\x66\x83\xc4\x08"),                         // add $8, %sp
    ROW(UNBIASED, 0, "\x48\x01\xe4"),                             // add %rsp, %rsp
    ROW(UNBIASED, 0, "\x48\x29\xe0"),                             // sub %rsp, %rax
    ROW(UNBIASED, 0, "\x48\x39\xe0"),                             // cmp %rsp, %rax
    ROW(UNBIASED, 0, "\x48\x85\xe4"),                             // test %rsp, %rsp
    ROW(UNBIASED, 0, "\x39\xe0"),                                 // cmp %esp, %eax
    ROW(UNBIASED, 0, "\x48\x94"),                                 // xchg %rax, %rsp
    ROW(UNBIASED, 0, "\x94"),                                     // xchg %eax, %esp
    ROW(UNBIASED, 0, "\x48\x0f\x44\xe0"),                         // cmove %rax, %rsp
    ROW(UNBIASED, 0, "\x0f\x45\xe0"),                             // cmovne %eax, %esp
    ROW(UNBIASED, 0, "\x48\xff\xc4"),                             // inc %rsp
    ROW(UNBIASED, 0, "\x48\xd3\xe4"),                             // shl %cl, %rsp
    ROW(UNBIASED, 0, "\x48\x0f\xcc"),                             // bswap %rsp
    ROW(UNBIASED, 0, "\x48\xf7\xe4"),                             // mul %rsp
    ROW(UNBIASED, 0, "\x48\xf7\xf4"),                             // div %rsp
    ROW(UNBIASED, 0, "\xf7\xf4"),                                 // div %esp
    ROW(UNBIASED, 0, "\x48\x0f\xb1\xe3"),                         // cmpxchg %rsp, %rbx
    ROW(UNBIASED, 0, "\x48\x63\xc4"),                             // movslq %esp, %rax
    ROW(UNBIASED, 0, "\x48\x63\xe0"),                             // movslq %eax, %rsp
    ROW(UNBIASED, 0, "\x0f\xb6\xe0"),                             // movzbl %al, %esp
    ROW(UNBIASED, AT_R11, "\x49\x8b\x63\x08"),                    // mov 8(%r11), %rsp
    ROW(UNBIASED, AT_R11, "\x41\x8b\x63\x08"),                    // mov 8(%r11), %esp
    ROW(UNBIASED, AT_R11, "\x41\x8a\x63\x05"),                    // mov 5(%r11), %spl
    ROW(UNBIASED, AT_R11, "\x49\x89\x63\x08"),                    // mov %rsp, 8(%r11)
    ROW(UNBIASED, AT_R11, "\x41\x89\x63\x08"),                    // mov %esp, 8(%r11)
    ROW(WITH_BASE_RSP, 0, "\x49\x01\x23"),                        // add %rsp, (%r11)
    ROW(WITH_BASE_RSP, 0, "\x49\x87\x23"),                        // xchg %rsp, (%r11)
    ROW(WITH_BASE_RSP, 0, "\x49\x3b\x23"),                        // cmp (%r11), %rsp
    ROW(WITH_BASE_RSP, 0, "\x41\x8b\x23"),                        // mov (%r11), %esp
    ROW(UNBIASED_DEAD, 0, "\x48\x83\xc4\x08"),                    // add $8, %rsp
    ROW(UNBIASED_DEAD, 0, "\x48\x01\xe4"),                        // add %rsp, %rsp
    ROW(UNBIASED_DEAD, 0, "\x48\x29\xe4"),                        // sub %rsp, %rsp
    ROW(UNBIASED_DEAD, 0, "\x48\x29\xc4"),                        // sub %rax, %rsp
    ROW(UNBIASED_DEAD, 0, "\x48\x29\xe0"),                        // sub %rsp, %rax
    ROW(UNBIASED_DEAD, 0, "\x48\x83\xe4\xf0"),                    // and $-16, %rsp
    ROW(UNBIASED_DEAD, 0, "\x48\x83\xe4\x70"),                    // and $0x70, %rsp
    ROW(UNBIASED_DEAD, 0, "\x48\x21\xc4"),                        // and %rax, %rsp
    ROW(UNBIASED_DEAD, 0, "\x48\xff\xcc"),                        // dec %rsp
    ROW(UNBIASED_DEAD, 0, "\xff\xcc"),                            // dec %esp
    ROW(UNBIASED_SCRATCH, 0, "\x48\x83\xc4\x08"),                 // add $8, %rsp
    ROW(UNBIASED_SCRATCH, 0, "\x48\x81\xec\x00\x10\x00\x00"),     // sub $0x1000, %rsp
    ROW(UNBIASED_SCRATCH, 0, "\x48\xff\xc4"),                     // inc %rsp
    ROW(LEA, 0, "\x48\x8d\x44\x24\x18"),                          // lea 24(%rsp), %rax
    ROW(LEA, 0, "\x4c\x8d\x6c\x24\x18"),                          // lea 24(%rsp), %r13
    ROW(LEA, 0, "\x48\x8d\x04\xbc"),                              // lea (%rsp,%rdi,4), %rax
    ROW(LEA, 0, "\x48\x8d\x04\x44"),                              // lea (%rsp,%rax,2), %rax
    ROW(LEA, 0, "\x48\x8d\x64\x24\xf8"),                          // lea -8(%rsp), %rsp
    ROW(LEA, 0, "\x48\x8d\x65\xd8"),                              // lea -40(%rbp), %rsp
    ROW(LEA, 0, "\x48\x8d\x64\x5d\xd8"),                          // lea -40(%rbp,%rbx,2), %rsp
    ROW(LEA, 0, "\x8d\x64\x24\xf8"),                              // lea -8(%rsp), %esp
    ROW(LEA, 0, "\x8d\x44\x24\x18"),                              // lea 24(%rsp), %eax
    ROW(LEA, 0, "\x66\x8d\x44\x24\x18"),                          // lea 24(%rsp), %ax
    ROW(LEA, 0, "\x67\x48\x8d\x44\x24\x18"),                      // lea 24(%esp), %rax
    ROW(LEA, 0, "\x67\x48\x8d\x64\x24\x18"),                      // lea 24(%esp), %rsp
    ROW(LEA, 0, "\x48\x8d\x24\x25\x00\x10\x00\x80"),              // lea -0x7ffff000, %rsp
    ROW(LEA, 0, "\x48\x8d\x44\x88\x10"),                          // lea 16(%rax,%rcx,4), %rax
};

// In these, rsp is a stack pointer natively too: the same host address. In the others it is a number, which the carried
// over form has with the bias.
static bool uses_stack(enum way way)
{
    return way == IDENT || way == BIASED || way == BASE || way == STRING || way == LEAVE;
}

static void compare(const struct row *row, const struct cpu *native, const struct cpu *carried, unsigned skip)
{
    for (unsigned i = 0; i < GPR_COUNT; i++) {
        bool biased = row->addresses >> i & 1;
        uint64_t expected = native->gpr[i] - (biased ? BT_BIAS : 0);
        if (i == RSP)
            expected += uses_stack(row->way) ? 0 : BT_BIAS;
        if (i != skip && !CHECK_EQ(carried->gpr[i], expected))
            printf("# register %u of %02x %02x %02x %02x\n", i, (uint8_t)row->bytes[0], (uint8_t)row->bytes[1],
                   (uint8_t)row->bytes[2], (uint8_t)row->bytes[3]);
    }
    if (row->way == UNBIASED_DEAD)
        return;
    if (!CHECK_EQ(carried->flags & (FLAGS_ARITH | FLAG_DF), native->flags & (FLAGS_ARITH | FLAG_DF)))
        printf("# flags of %02x %02x %02x\n", (uint8_t)row->bytes[0], (uint8_t)row->bytes[1], (uint8_t)row->bytes[2]);
}

static struct cpu biased_from(const struct row *row, struct cpu cpu)
{
    for (unsigned i = 0; i < GPR_COUNT; i++)
        cpu.gpr[i] -= row->addresses >> i & 1 ? BT_BIAS : 0;
    cpu.gpr[RSP] += uses_stack(row->way) ? 0 : BT_BIAS;
    return cpu;
}

static void check_row(struct test *t, const struct row *row)
{
    const uint8_t *bytes = (const uint8_t *)row->bytes, *at;
    struct cpu native = registers(t), carried = biased_from(row, native);
    struct displaced d;
    memcpy(t->data, t->before, DATA);
    CHECK(run(t, IDENT, bytes, row->length, &native, &d, &at));
    memcpy(t->native, t->data, DATA);
    memcpy(t->data, t->before, DATA);
    if (!CHECK(run(t, row->way, bytes, row->length, &carried, &d, &at)))
        return;
    if (row->way == LEAVE)
        carried.gpr[RBP] -= BT_BIAS; // it is what was popped, which compare takes for an address
    compare(row, &native, &carried, row->way == UNBIASED_SCRATCH ? DEAD : GPR_COUNT);
    CHECK(memcmp(t->native, t->data, DATA) == 0);
}

// The form with a base register, which needs the operand's address there.
static void check_base(struct test *t, const struct row *row)
{
    const uint8_t *bytes = (const uint8_t *)row->bytes, *at;
    struct row with_base = {.way = BASE, .bytes = row->bytes};
    struct cpu native = registers(t), carried = native;
    struct displaced d;
    struct insn in;
    CHECK(x86_decode(&t->d, bytes, row->length, 0x401000, &in));
    const struct x86_operand *op = &in.op[0];
    while (op->kind != OPERAND_MEM)
        op++;
    unsigned reg = pick_scratch(&in, 0);
    uint64_t index = op->mem.index == X86_NO_REG ? 0 : carried.gpr[op->mem.index] << op->mem.shift;
    carried.gpr[reg] = carried.gpr[op->mem.base] + index + (uint64_t)op->mem.disp;
    memcpy(t->data, t->before, DATA);
    CHECK(run(t, IDENT, bytes, row->length, &native, &d, &at));
    memcpy(t->native, t->data, DATA);
    memcpy(t->data, t->before, DATA);
    CHECK(run(t, BASE, bytes, row->length, &carried, &d, &at));
    compare(&with_base, &native, &carried, reg);
    CHECK(memcmp(t->native, t->data, DATA) == 0);
}

// ---- Faults: `reg` points into the page behind the data, less `before` bytes ----
static const struct faulting {
    struct row row;
    uint8_t reg;
    uint8_t before;
} faulting[] = {
    {ROW(BIASED, AT_R11, "\x49\x01\x03"), R11, 0},                 // add %rax, (%r11)
    {ROW(STRING, 1u << RSI | 1u << RDI, "\xf3\x48\xa5"), RDI, 16}, // rep movsq, in its third iteration
    {ROW(STRING, 1u << RSI | 1u << RDI, "\xf3\xa6"), RSI, 0},      // repe cmpsb
    {ROW(STRING, 1u << RSI | 1u << RDI, "\xab"), RDI, 0},          // stosl
    {ROW(LEAVE, 1u << RBP, "\xc9"), RBP, 0},                       // leave
    {ROW(UNBIASED, AT_R11, "\x49\x89\x63\x08"), R11, 0},           // mov %rsp, 8(%r11)
    {ROW(UNBIASED, AT_R11, "\x49\x8b\x63\x08"), R11, 0},           // mov 8(%r11), %rsp
    {ROW(UNBIASED, 0, "\x48\xf7\xf4"), RDX, 0},                    // div %rsp: too large a quotient
};

static void check_fault(struct test *t, const struct faulting *f)
{
    const uint8_t *bytes = (const uint8_t *)f->row.bytes, *at;
    struct cpu native = registers(t);
    struct displaced d;
    native.gpr[f->reg] = (uintptr_t)t->data + DATA - f->before;
    if (f->reg == RDX)
        native.gpr[RDX] = native.gpr[RSP];
    struct cpu carried = biased_from(&f->row, native);
    memcpy(t->data, t->before, DATA);
    CHECK(!run(t, IDENT, bytes, f->row.length, &native, &d, &at));
    memcpy(t->data, t->before, DATA);
    CHECK(!run(t, f->row.way, bytes, f->row.length, &carried, &d, &at));
    if (fault_rip >= (uintptr_t)at + d.from && fault_rip < (uintptr_t)at + d.to)
        displaced_undo(&d, bt, carried.gpr);
    compare(&f->row, &native, &carried, GPR_COUNT);
}

// push and pop of rsp itself: the stack pointer is a number and an address at once.
static void check_push_pop(struct test *t)
{
    struct cpu cpu = registers(t), before = cpu;
    struct displaced d;
    const uint8_t *at;
    uint64_t pushed, *top = (uint64_t *)(t->data + 0x1000);
    CHECK(run(t, UNBIASED, (const uint8_t *)"\x54", 1, &cpu, &d, &at));
    memcpy(&pushed, top - 1, 8);
    CHECK_EQ(pushed, before.gpr[RSP] - BT_BIAS);
    before.gpr[RSP] -= 8;
    CHECK(memcmp(cpu.gpr, before.gpr, sizeof cpu.gpr) == 0);
    *top = 0x123456789a;
    cpu = before = registers(t);
    CHECK(run(t, UNBIASED, (const uint8_t *)"\x5c", 1, &cpu, &d, &at));
    before.gpr[RSP] = 0x123456789a + BT_BIAS;
    CHECK(memcmp(cpu.gpr, before.gpr, sizeof cpu.gpr) == 0);

    cpu = registers(t);
    cpu.gpr[RSP] = (uintptr_t)t->data + DATA + 64;
    before = cpu;
    CHECK(!run(t, UNBIASED, (const uint8_t *)"\x54", 1, &cpu, &d, &at) && d.from == d.to);
    CHECK(memcmp(cpu.gpr, before.gpr, sizeof cpu.gpr) == 0);
    CHECK(!run(t, UNBIASED, (const uint8_t *)"\x5c", 1, &cpu, &d, &at) && d.from == d.to);
    CHECK(memcmp(cpu.gpr, before.gpr, sizeof cpu.gpr) == 0);
}

// ---- fs: and gs:, natively with the bias as gs base, carried over with the guest's base in its cell ----
#define GS_BASE 0x12340ull
static const struct row segmented[] = {
    ROW(SEGMENTED, AT_R11, "\x65\x49\x01\x03"),                 // add %rax, %gs:(%r11)
    ROW(SEGMENTED, AT_R11, "\x65\x49\x8b\x43\x08"),             // mov %gs:8(%r11), %rax
    ROW(SEGMENTED, AT_R11, "\x65\x49\x8b\x83\x00\x01\x00\x00"), // mov %gs:0x100(%r11), %rax
    ROW(SEGMENTED, AT_R11, "\x65\x4d\x8b\x1b"),                 // mov %gs:(%r11), %r11
    ROW(SEGMENTED, 1u << RSI, "\x65\x88\x66\x01"),              // mov %ah, %gs:1(%rsi)
    ROW(SEGMENTED, AT_R11, "\x65\x66\x41\x81\x7b\x02\x34\x12"), // cmpw $0x1234, %gs:2(%r11)
    ROW(SEGMENTED, AT_R11, "\xf0\x65\x41\x0f\xc1\x1b"),         // lock xadd %ebx, %gs:(%r11)
    ROW(SEGMENTED, AT_R11, "\x65\x41\xff\x43\x04"),             // incl %gs:4(%r11)
    ROW(SEGMENTED, AT_R11, "\x65\x49\x0f\xc7\x0b"),             // cmpxchg16b %gs:(%r11)
    ROW(SEGMENTED, AT_R11, "\x65\x49\x89\x63\x08"),             // mov %rsp, %gs:8(%r11)
    ROW(SEGMENTED, AT_R11, "\x65\x49\x8b\x63\x08"),             // mov %gs:8(%r11), %rsp
};

static void check_segmented(struct test *t, const struct row *row, uint64_t at_fault)
{
    const uint8_t *bytes = (const uint8_t *)row->bytes, *at;
    struct cpu native = registers(t), carried;
    struct displaced d;
    unsigned reg = row->addresses == AT_R11 ? R11 : RSI;
    bool replaced = bytes[2] == 0x8b && bytes[3] == 0x1b;
    native.gpr[reg] = (at_fault ? at_fault : native.gpr[reg]) - BT_BIAS;
    carried = native;
    carried.gpr[reg] -= GS_BASE;
    carried.gpr[RSP] += BT_BIAS;
    bt->seg_base[SEG_GS] = GS_BASE;
    memcpy(t->data, t->before, DATA);
    bool ran = run(t, IDENT, bytes, row->length, &native, &d, &at);
    memcpy(t->native, t->data, DATA);
    memcpy(t->data, t->before, DATA);
    CHECK_EQ(run(t, SEGMENTED, bytes, row->length, &carried, &d, &at), ran);
    CHECK_EQ(ran, !at_fault);
    if (!ran && CHECK(fault_rip >= (uintptr_t)at + d.from && fault_rip < (uintptr_t)at + d.to))
        displaced_undo(&d, bt, carried.gpr);
    carried.gpr[RSP] -= BT_BIAS;
    carried.gpr[reg] += ran && replaced ? 0 : GS_BASE;
    for (unsigned i = 0; i < GPR_COUNT; i++)
        CHECK_EQ(carried.gpr[i], native.gpr[i]);
    CHECK_EQ(carried.flags & (FLAGS_ARITH | FLAG_DF), native.flags & (FLAGS_ARITH | FLAG_DF));
    CHECK(memcmp(t->native, t->data, DATA) == 0);
}

static void check_segments(struct test *t)
{
    static const char *const refused[] = {
        "\x65\x48\x8b\x04\x24", // mov %gs:(%rsp), %rax
        "\x65\x48\x8b\x04\x0e", // mov %gs:(%rsi,%rcx), %rax
        "\x67\x65\x48\x8b\x06", // mov %gs:(%esi), %rax
        "\x65\x48\x01\x26",     // add %rsp, %gs:(%rsi)
        "\x65\xa4",             // movsb
        "\x65\xd7",             // xlat
        "\x48\x8b\x06",         // mov (%rsi), %rax
    };
    for (unsigned i = 0; i < sizeof segmented / sizeof *segmented; i++) {
        check_segmented(t, &segmented[i], 0);
        check_segmented(t, &segmented[i], (uintptr_t)t->data + DATA);
    }
    for (unsigned i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct insn in;
        struct displaced d;
        struct code code = {.at = t->code_page, .end = t->code_page + CODE};
        const uint8_t *bytes = (const uint8_t *)refused[i];
        CHECK(x86_decode(&t->d, bytes, (unsigned)strlen(refused[i]), 0x401000, &in));
        CHECK(!put_segmented(&code, bytes, &in, &d) && code.at == t->code_page && d.from == d.to);
    }
}

static bool setup(struct test *t)
{
    static uint8_t signal_stack[1 << 16];
    size_t cells = (sizeof *bt + 4095) & ~4095ul;
    stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    void *region = mmap((void *)BT_REGION, cells + CODE, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    t->code_page = (uint8_t *)BT_REGION + cells;
    t->data = mmap(NULL, DATA + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fill(t);
    return CHECK(region == bt) && CHECK(t->data != MAP_FAILED) &&
           CHECK(mprotect(t->data + DATA, 4096, PROT_NONE) == 0) && CHECK(sigaltstack(&stack, NULL) == 0) &&
           CHECK(sigaction(SIGSEGV, &action, NULL) == 0) && CHECK(sigaction(SIGFPE, &action, NULL) == 0) &&
           CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, BT_BIAS) == 0) && CHECK(x86_decoder_open(&t->d) == 0);
}

int main(void)
{
    static struct test t;
    if (!setup(&t))
        return check_done("bt_carry");
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_row(&t, &rows[i]);
        if (rows[i].way == BIASED)
            check_base(&t, &rows[i]);
    }
    for (unsigned i = 0; i < sizeof faulting / sizeof *faulting; i++)
        check_fault(&t, &faulting[i]);
    check_push_pop(&t);
    check_segments(&t);
    x86_decoder_close(&t.d);
    return check_done("bt_carry");
}
