// SPDX-License-Identifier: BSD-2-Clause
// Segments count outside 64-bit mode: bases, limits and types, expand-down, 16-bit stacks and code, what a descriptor
// lets a load do, call gates to the 64-bit kernel, and compatibility mode at CPL 0 (SDM vol. 3, 3.4.5, 5.3
// to 5.5, 5.8). QEMU's TCG has no limits in 32-bit code but for what it reads anyway.
#include "tests/guest/code32.h"
#include "tests/guest/judge.h"

IMAGE("compat_segments");

static uint64_t table[LIBRARY_ENTRIES + OWN_ENTRIES] __attribute__((aligned(16)));

enum entry {
    SHORT,
    READ_ONLY,
    DOWN,
    STACK16,
    CODE_16,
    CODE_SHORT,
    ABSENT,
    CODE_LD,
    BASED_CODE,
    CODE_PAGE,
    GATE,
    GATE_HIGH
};
#define SELECTOR(entry) ((uint16_t)(OWN_SELECTOR(entry) | 3))
#define BYTES(type, limit, base) (D_TYPE(type) | D_S | D_DPL(3) | D_P | D_DB | D_LIMIT(limit) | D_BASE(base))
#define TYPE_CALL_GATE 12
#define CODE_SHORT_BYTES 0x30

extern const char gate_target[];
__asm__(".text\ngate_target: movl %cs, %esi; movq %rsp, %rdi; movl $0x99, %edx\n"
        "movq (%rsp), %r8; movq 8(%rsp), %r9; movq 16(%rsp), %r10; movq 24(%rsp), %r11; lretq\n");

static void set_entries(void)
{
    uint64_t *own = table + LIBRARY_ENTRIES, to = (uint64_t)gate_target;
    own_gdt(table);
    own[SHORT] = BYTES(TYPE_READ_WRITE, 0xff, DATA32);
    own[READ_ONLY] = BYTES(TYPE_READ_ONLY, 0xfff, DATA32);
    own[DOWN] = BYTES(TYPE_EXPAND_DOWN, 0xfff, DATA32 - 0x1000);
    own[STACK16] = BYTES(TYPE_READ_WRITE, 0xffff, STACK32 - 0x1000) & ~D_DB;
    own[CODE_16] = BYTES(TYPE_EXECUTE_READ, 0xffff, AT32) & ~D_DB;
    own[CODE_SHORT] = BYTES(TYPE_EXECUTE, CODE_SHORT_BYTES - 1, AT32);
    own[ABSENT] = BYTES(TYPE_READ_WRITE, 0xff, DATA32) & ~D_P;
    own[CODE_LD] = CODE64_DESCRIPTOR(3) | D_DB;
    own[BASED_CODE] = BYTES(TYPE_EXECUTE_READ, 0xffffff, AT32 - 0x1000);
    own[CODE_PAGE] = BYTES(TYPE_EXECUTE_READ, PAGE32 - 1, AT32);
    own[GATE] =
        (to & 0xffff) | (uint64_t)KERNEL_CS << 16 | D_TYPE(TYPE_CALL_GATE) | D_DPL(3) | D_P | (to >> 16 & 0xffff) << 48;
    own[GATE_HIGH] = to >> 32;
}

// ---- Data: es is the selector in eax, the offset is in esi ----

CODE32(reads, "movw %ax, %es; movl %es:(%esi), %ecx; int3");
CODE32(writes, "movw %ax, %es; movl %ecx, %es:(%esi); int3");
#define AT_ACCESS 2 // the access's offset in the code
#define DONE 6

static bool accesses(const char *from, const char *end, enum entry entry, uint32_t offset, unsigned vector)
{
    struct trap_frame regs = regs32();
    regs.rax = SELECTOR(entry);
    regs.rsi = offset;
    run_regs(from, end, &regs);
    return vector == VEC_BP ? ENDED(VEC_BP, DONE) : ENDED(vector, AT_ACCESS) && ended.at.error == 0;
}
#define READS(entry, offset, vector) accesses(reads, reads_end, entry, offset, vector)
#define WRITES(entry, offset, vector) accesses(writes, writes_end, entry, offset, vector)

static void data(void)
{
    *(volatile uint32_t *)(DATA32 + 0xfc) = 0x12345678;
    CHECK(READS(SHORT, 0xfc, VEC_BP) && ended.at.rcx == 0x12345678);
    CHECK_NOT_QEMU(READS(SHORT, 0xfd, VEC_GP));
    CHECK_NOT_QEMU(WRITES(SHORT, 0xfd, VEC_GP));
    CHECK(READS(READ_ONLY, 0xfc, VEC_BP));
    CHECK_NOT_QEMU(WRITES(READ_ONLY, 0xfc, VEC_GP));
    *(volatile uint32_t *)(DATA32 + 0xfc) = 0x12345678; // QEMU has written it
    CHECK(READS(DOWN, 0x10fc, VEC_BP) && ended.at.rcx == 0x12345678);
    CHECK_NOT_QEMU(READS(DOWN, 0xfff, VEC_GP));
    CHECK(READS(CODE_16, 0, VEC_BP));
    CHECK_NOT_QEMU(WRITES(CODE_16, 0x800, VEC_GP));
    struct trap_frame regs = regs32();
    regs.rax = SELECTOR(ABSENT);
    run_regs(reads, reads_end, &regs);
    CHECK(ENDED(VEC_NP, 0) && ended.at.error == OWN_SELECTOR(ABSENT));
    regs.rax = SELECTOR(CODE_SHORT); // may not be read
    run_regs(reads, reads_end, &regs);
    CHECK(ENDED(VEC_GP, 0) && ended.at.error == OWN_SELECTOR(CODE_SHORT));
}

// ---- Stack ----

CODE32(pushes16, "movl $0x1000, %esp; .byte 0x6a, 5; movl %esp, %ecx; popl %eax; movl $0x50000, %esp; pushl %eax\n"
                 "movl %esp, %edx; int3");
CODE32(pushes_beyond, "movl $0x102, %esp; pushl %eax");

static void stack(void)
{
    struct trap_frame regs = regs32();
    regs.ss = SELECTOR(STACK16);
    run_regs(pushes16, pushes16_end, &regs);
    CHECK(ENDED(VEC_PF, LENGTH32(pushes16) - 4)); // sp wraps around to fffc: nothing is mapped there
    CHECK(ended.at.rcx == 0xffc && RESULT == 5 && ended.cr2 == STACK32 - 0x1000 + 0xfffc);
    CHECK_EQ(*(volatile uint32_t *)(STACK32 - 4), 5);
    regs.ss = SELECTOR(SHORT);
    run_regs(pushes_beyond, pushes_beyond_end, &regs);
    CHECK_NOT_QEMU(ENDED(VEC_SS, 5) && ended.at.error == 0 && ended.at.rsp == 0x102);
}

// ---- Code ----

CODE(16, sixteen,
     "movw $0x1234, %ax; .byte 0x66; movl $0x11223344, %ecx; pushw %ax; popw %dx; call 1f; int3\n"
     "1: addw $1, %ax; ret");
CODE32(runs_out, ".rept 0x2f; nop; .endr; .byte 0x8b, 0xc0");
CODE32(jumps_out, "jmp 1f; .org jumps_out + 0x60; 1: int3");
CODE32(based, "call 1f; 1: popl %eax; int3");

// Two bytes at the end of the page and of the code segment, or with more of it where there is no page.
static void run_last(uint8_t first, uint8_t second, unsigned more)
{
    struct trap_frame regs = regs32();
    table[LIBRARY_ENTRIES + CODE_PAGE] = BYTES(TYPE_EXECUTE_READ, PAGE32 - 1 + more, AT32);
    *(volatile uint8_t *)(AT32 + PAGE32 - 2) = first;
    *(volatile uint8_t *)(AT32 + PAGE32 - 1) = second;
    regs.cs = SELECTOR(CODE_PAGE);
    regs.rip = PAGE32 - 2;
    run_regs(sixteen, sixteen_end, &regs);
    CHECK(ended.at.rip == PAGE32 - 2 && ended.at.error == (ended.at.vector == VEC_PF ? PF_FETCH | PF_USER : 0));
}

// The limit comes before the next page, and both before what the instruction is (SDM vol. 3, 6.9).
static void code_at_both_ends(void)
{
    run_last(0x0f, 0x04, 0); // no instruction, and these bytes say so
    CHECK_EQ(ended.at.vector, VEC_UD);
    run_last(0x0f, 0xff, 0); // ud0, by Intel with a modrm
    CHECK_NOT_QEMU(ended.at.vector == VEC_GP || (ended.at.vector == VEC_UD && cpuid(0, 0).ebx == 0x68747541));
    run_last(0x8b, 0x05, 0);
    CHECK_EQ_NOT_QEMU(ended.at.vector, VEC_GP);
    run_last(0x8b, 0x05, 1);
    CHECK(ended.at.vector == VEC_PF && ended.cr2 == AT32 + PAGE32);
}

static void code(void)
{
    struct trap_frame regs = regs32();
    regs.cs = SELECTOR(CODE_16);
    regs.rip = 0;
    run_regs(sixteen, sixteen_end, &regs);
    CHECK(ended.at.vector == VEC_BP && RESULT == 0x1235 && ended.at.rcx == 0x11223344);
    CHECK(ended.at.cs == SELECTOR(CODE_16) && ended.at.rsp == STACK32 && (ended.at.rdx & 0xffff) == 0x1234);
    regs.cs = SELECTOR(CODE_SHORT);
    run_regs(runs_out, runs_out_end, &regs);
    CHECK_NOT_QEMU(ended.at.vector == VEC_GP && ended.at.rip == 0x2f && ended.at.error == 0);
    run_regs(jumps_out, jumps_out_end, &regs);
    CHECK_NOT_QEMU(ended.at.vector == VEC_GP && ended.at.rip == 0 && ended.at.error == 0);
    regs.cs = SELECTOR(BASED_CODE);
    regs.rip = 0x1000;
    run_regs(based, based_end, &regs);
    CHECK(ended.at.vector == VEC_BP && RESULT == 0x1005 && ended.at.rip == 0x1000 + LENGTH32(based));
}

// ---- Call gates ----

CODE32(calls_gate, "lcall *(%ebx); movl %cs, %eax; int3");

static void gate(void)
{
    struct trap_frame regs = regs32();
    *(volatile uint64_t *)DATA32 = (uint64_t)SELECTOR(GATE) << 32 | 0xdead; // the offset is the gate's
    uint64_t rsp0 = (uint64_t)page_alloc() + PAGE32;
    tss_set_rsp0(rsp0);
    run_regs(calls_gate, calls_gate_end, &regs);
    CHECK(ENDED(VEC_BP, LENGTH32(calls_gate)) && ended.at.rdx == 0x99 && RESULT == USER_CS32);
    CHECK(ended.at.rsi == KERNEL_CS && (uint32_t)ended.at.rdi == (uint32_t)(rsp0 - 32));
    CHECK(ended.at.rsp == STACK32 && ended.at.ss == USER_DS);
    CHECK(ended.at.r8 == AT32 + 2 && ended.at.r9 == USER_CS32 && ended.at.r10 == STACK32 && ended.at.r11 == USER_DS);
}

// ---- CPL 0 ----

CODE32(in_kernel, "movl %cr0, %eax; pushl %eax; popl %ecx; movl %cs, %edx; str %esi; int3");

static void kernel(void)
{
    struct trap_frame regs = regs32();
    regs.cs = KERNEL_CS32;
    regs.ss = KERNEL_DS;
    regs.rip = KERNEL32;
    run_regs(in_kernel, in_kernel_end, &regs);
    CHECK(ended.at.vector == VEC_BP && ended.at.rip == KERNEL32 + LENGTH32(in_kernel));
    CHECK(ended.at.rdx == KERNEL_CS32 && RESULT == (uint32_t)read_cr0() && ended.at.rcx == RESULT);
    CHECK(ended.at.cs == KERNEL_CS32 && ended.at.rsp == STACK32);
    regs.cs = OWN_SELECTOR(CODE_LD) | 3; // L and D: no code segment at all
    regs.ss = USER_DS;
    run_regs(in_kernel, in_kernel_end, &regs);
    CHECK_NOT_QEMU(ended.at.vector == VEC_GP && ended.at.error == OWN_SELECTOR(CODE_LD) && ended.at.cs == KERNEL_CS);
}

int image_main(void)
{
    map32();
    set_entries();
    data();
    stack();
    code();
    code_at_both_ends();
    gate();
    kernel();
    return 0;
}
