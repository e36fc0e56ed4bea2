// SPDX-License-Identifier: BSD-2-Clause
// rdmsr and wrmsr: unknown ones and bad values are #GP(0), the upper halves of rax, rdx and rcx do not matter, results
// clear them; EFER's rules (SDM vol. 2, RDMSR, WRMSR; vol. 3, 2.2.1).
#include "guest/insn.h"
#include "guest/lib.h"
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"

IMAGE("msr");

#define UNKNOWN_MSR 0x12345678

struct msr {
    uint32_t number;
    uint64_t value;
};

static void do_read(void *arg)
{
    struct msr *m = arg;
    m->value = read_msr(m->number);
}

static void do_write(void *arg)
{
    struct msr *m = arg;
    write_msr(m->number, m->value);
}

static bool write_faults(uint32_t number, uint64_t value)
{
    struct msr m = {number, value};
    struct caught c = catch_fault(do_write, &m);
    return c.vector == VEC_GP && c.error == 0;
}

static void unknown(void)
{
    struct msr m = {UNKNOWN_MSR, 5};
    struct caught c = catch_fault(do_read, &m);
    CHECK_EQ_NOT_QEMU(c.vector, VEC_GP); // QEMU reads 0 and takes anything
    CHECK_EQ_NOT_QEMU(m.value, 5);
    CHECK_NOT_QEMU(write_faults(UNKNOWN_MSR, 5));
}

static void canonical(void)
{
    static const uint32_t addresses[] = {MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_LSTAR, MSR_CSTAR};
    for (unsigned i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        uint64_t old = read_msr(addresses[i]);
        bool refused = write_faults(addresses[i], BEYOND_57_BITS) && write_faults(addresses[i], 0x1000000000000000);
        bool kept = read_msr(addresses[i]) == old;
        bool refused_48 = write_faults(addresses[i], BEYOND_48_BITS);
        write_msr(addresses[i], old);
        CHECK_NOT_QEMU(refused && kept); // QEMU takes any
        CHECK_NOT_QEMU(refused_48);
    }
    write_msr(MSR_CSTAR, 0xffff800000000000);
    CHECK_EQ(read_msr(MSR_CSTAR), 0xffff800000000000);
}

static void halves(void)
{
    uint64_t rax = 0x1111111111111111, rdx = 0x2222222222222222, rcx = 0x3333333300000000 | MSR_STAR;
    uint64_t old = read_msr(MSR_STAR);
    __asm__ volatile("wrmsr" : : "a"(rax), "d"(rdx), "c"(rcx));
    CHECK_EQ(read_msr(MSR_STAR), 0x2222222211111111);
    rax = rdx = ~0ull;
    __asm__ volatile("rdmsr" : "+a"(rax), "+d"(rdx) : "c"(rcx));
    CHECK(rax == 0x11111111 && rdx == 0x22222222);
    write_msr(MSR_STAR, old);
}

static void efer(void)
{
    uint64_t old = read_msr(MSR_EFER);
    CHECK_EQ(old & (EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE), EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE);
    // LMA is the processor's: writes of either value leave it.
    write_msr(MSR_EFER, old & ~(uint64_t)EFER_LMA);
    CHECK_EQ(read_msr(MSR_EFER), old);
    CHECK_NOT_QEMU(write_faults(MSR_EFER, old & ~(uint64_t)EFER_LME)); // not while paging is on; QEMU clears it
    write_msr(MSR_EFER, old);
    CHECK_NOT_QEMU(write_faults(MSR_EFER, old | 1 << 1)); // reserved; QEMU ignores it
    CHECK_NOT_QEMU(write_faults(MSR_EFER, old | 1ull << 32));
    CHECK_EQ(read_msr(MSR_EFER), old);
}

static void auxiliary(void)
{
    if (!HAS_RDTSCP) {
        skip("no rdtscp");
        return;
    }
    write_msr(MSR_TSC_AUX, 0x1234);
    uint64_t rcx = ~0ull;
    __asm__ volatile("rdtscp" : "+c"(rcx) : : "rax", "rdx");
    CHECK_EQ(rcx, 0x1234);
    CHECK_NOT_QEMU(write_faults(MSR_TSC_AUX, 1ull << 32)); // the upper half is reserved
}

static void page_attributes(void)
{
    CHECK_EQ(read_msr(MSR_PAT), PAT_RESET);
    CHECK_NOT_QEMU(write_faults(MSR_PAT, 2)); // no such memory type
    write_msr(MSR_PAT, 0x0606060606060606);
    CHECK_EQ(read_msr(MSR_PAT), 0x0606060606060606);
    write_msr(MSR_PAT, PAT_RESET);
}

int image_main(void)
{
    unknown();
    canonical();
    halves();
    efer();
    auxiliary();
    page_attributes();
    return 0;
}
