// SPDX-License-Identifier: BSD-2-Clause
// Control registers: what each write accepts and what is #GP(0), and what is read back (SDM vol. 3, 2.5; vol. 2, MOV
// CR).
#include "guest/insn.h"
#include "guest/lib.h"

IMAGE("crs");

static void cr0(void)
{
    uint64_t old = read_cr0();
    CHECK(read_cr0() & CR0_ET); // always 1
    write_cr0(old & ~(uint64_t)CR0_ET);
    CHECK_EQ(read_cr0(), old);
    write_cr0(old | CR0_TS | CR0_CD);
    CHECK_EQ(read_cr0(), old | CR0_TS | CR0_CD);
    __asm__ volatile("clts");
    CHECK_EQ(read_cr0(), old | CR0_CD);
    write_cr0(old);
}

static void machine_status_word(void)
{
    uint64_t old = read_cr0(), word = 0;
    __asm__ volatile("smsw %0" : "=r"(word));
    CHECK_EQ(word & 0xffff, old & 0xffff);
    __asm__ volatile("lmsw %w0" : : "r"(old | CR0_TS));
    CHECK_EQ(read_cr0(), old | CR0_TS);
    __asm__ volatile("lmsw %w0" : : "r"(old & ~(uint64_t)CR0_PE)); // cannot clear PE
    CHECK_EQ(read_cr0(), old);
}

static void cr2(void)
{
    write_cr2(0x123456789abcdef0);
    CHECK_EQ(read_cr2(), 0x123456789abcdef0); // any value
}

static void cr3(void)
{
    uint64_t old = read_cr3();
    write_cr3(old | 0x18); // PWT, PCD
    CHECK_EQ(read_cr3(), old | 0x18);
    write_cr3(old);
}

static void cr4(void)
{
    uint64_t old = read_cr4();
    write_cr4(old | CR4_TSD | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT);
    CHECK_EQ(read_cr4(), old | CR4_TSD | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT);
    write_cr4(old);
}

static void cr8(void)
{
    for (uint64_t priority = 0; priority < 16; priority += 5) {
        write_cr8(priority);
        CHECK_EQ(read_cr8(), priority);
    }
    // From registers that an engine may want for itself, which stay as they are.
    uint64_t a = 3, c = 5, d = 7, r15 = 9, read[4];
    register uint64_t in_r15 __asm__("r15") = r15;
    __asm__ volatile("mov %%rax, %%cr8; mov %%cr8, %4\n"
                     "mov %%rcx, %%cr8; mov %%cr8, %5\n"
                     "mov %%rdx, %%cr8; mov %%cr8, %6\n"
                     "mov %%r15, %%cr8; mov %%cr8, %7\n"
                     : "+a"(a), "+c"(c), "+d"(d), "+r"(in_r15), "=&r"(read[0]), "=&r"(read[1]), "=&r"(read[2]),
                       "=&r"(read[3]));
    CHECK(a == 3 && c == 5 && d == 7 && in_r15 == r15);
    CHECK(read[0] == 3 && read[1] == 5 && read[2] == 7 && read[3] == 9);
    write_cr8(0);
}

int image_main(void)
{
    cr0();
    machine_status_word();
    cr2();
    cr3();
    cr4();
    cr8();
    return 0;
}
