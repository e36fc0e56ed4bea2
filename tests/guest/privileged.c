// SPDX-License-Identifier: BSD-2-Clause
// Every privileged instruction at CPL 3: #GP(0) (or #UD where the manual says so), with rip at it, and nothing has
// happened (SDM vol. 3, 5.9).
#include "guest/insn.h"
#include "guest/lib.h"
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"

IMAGE("privileged");

static USER_DATA uint64_t scratch[2];

#define USER(name, text)                                                                                               \
    static USER_CODE uint64_t name(void *arg)                                                                          \
    {                                                                                                                  \
        uint64_t a = 0, c = 0, d = 0;                                                                                  \
        __asm__ volatile(text : "+a"(a), "+c"(c), "+d"(d) : "D"(arg) : "rbx", "memory", "cc");                         \
        return a;                                                                                                      \
    }
USER(u_hlt, "hlt");
USER(u_cli, "cli");
USER(u_sti, "sti");
USER(u_in, "inb $0x80, %%al");
USER(u_out, "outb %%al, $0x80");
USER(u_in_dx, "inl %%dx, %%eax");
USER(u_outs, "movq %%rdi, %%rsi; outsb");
USER(u_lgdt, "lgdt (%%rdi)");
USER(u_lidt, "lidt (%%rdi)");
USER(u_lldt, "lldt %%ax");
USER(u_ltr, "ltr %%ax");
USER(u_lmsw, "lmsw %%ax");
USER(u_clts, "clts");
USER(u_invd, "invd");
USER(u_wbinvd, "wbinvd");
USER(u_invlpg, "invlpg (%%rdi)");
USER(u_read_cr0, "movq %%cr0, %%rax");
USER(u_read_cr2, "movq %%cr2, %%rax");
USER(u_read_cr3, "movq %%cr3, %%rax");
USER(u_read_cr4, "movq %%cr4, %%rax");
USER(u_read_cr8, "movq %%cr8, %%rax");
USER(u_write_cr0, "movq %%rax, %%cr0");
USER(u_write_cr3, "movq %%rax, %%cr3");
USER(u_write_cr8, "movq %%rax, %%cr8");
USER(u_read_dr0, "movq %%dr0, %%rax");
USER(u_write_dr7, "movq %%rax, %%dr7");
USER(u_rdmsr, "movl $0x10, %%ecx; rdmsr");
USER(u_wrmsr, "movl $0xc0000101, %%ecx; wrmsr");
USER(u_swapgs, "swapgs");
USER(u_sysret, "sysretq");
USER(u_rdtsc, "rdtsc");
USER(u_smsw, "smsw %%eax");
USER(u_invpcid, "invpcid (%%rdi), %%rax");
USER(u_cpuid, "xorl %%eax, %%eax; cpuid");
USER(u_wrfsbase, "wrfsbase %%rax");

static void at_cpl3(void *fn)
{
    run_user((uint64_t(*)(void *))fn, scratch);
}

static bool faults(uint64_t (*fn)(void *), int vector)
{
    struct caught c = catch_fault(at_cpl3, (void *)fn);
    return c.vector == vector && c.error == 0 && (vector < 0 || c.rip - (uint64_t)fn < 64);
}

#define GP(fn) CHECK(faults(fn, VEC_GP))

static void privileged(void)
{
    GP(u_hlt), GP(u_cli), GP(u_sti), GP(u_in), GP(u_out), GP(u_in_dx), GP(u_outs);
    GP(u_lgdt), GP(u_lidt), GP(u_lldt), GP(u_ltr), GP(u_lmsw), GP(u_clts);
    GP(u_invd), GP(u_wbinvd), GP(u_invlpg);
    GP(u_read_cr0), GP(u_read_cr2), GP(u_read_cr3), GP(u_read_cr4), GP(u_read_cr8);
    GP(u_write_cr0), GP(u_write_cr3), GP(u_write_cr8), GP(u_read_dr0), GP(u_write_dr7);
    GP(u_rdmsr), GP(u_wrmsr), GP(u_swapgs), GP(u_sysret);
}

// What control bits decide.
static void conditional(void)
{
    CHECK(faults(u_cpuid, -1));
    CHECK(faults(u_rdtsc, -1));
    write_cr4(read_cr4() | CR4_TSD);
    GP(u_rdtsc);
    write_cr4(read_cr4() & ~(uint64_t)CR4_TSD);
    CHECK(faults(u_smsw, -1));
    if (HAS_UMIP) {
        write_cr4(read_cr4() | CR4_UMIP);
        GP(u_smsw);
        write_cr4(read_cr4() & ~(uint64_t)CR4_UMIP);
    } else {
        skip("no UMIP");
    }
    if (HAS_INVPCID)
        GP(u_invpcid);
    else
        skip("no invpcid");
    CHECK(faults(u_wrfsbase, VEC_UD)); // cr4.FSGSBASE is off
}

int image_main(void)
{
    privileged();
    conditional();
    return 0;
}
