// SPDX-License-Identifier: BSD-2-Clause
// A switch of address spaces as between two processes of one program: the kernel's half is the same, the user's text
// too, its data pages are each one's own. One iteration: a system call that loads the other address space's cr3, and at
// CPL 3 a read and a write in each of four pages. Again with PCIDs and no flush, where the CPU has them.
#include "bench/nano/entry.h"
#include "guest/repeat.h"

IMAGE("asswitch");

#define USER_TEXT 0x4000000000ull
#define DATA 0x4000100000ull
#define PAGES 4
#define CPUID_1_ECX_PCID (1u << 17)

static uint64_t root[2]; // what is loaded into cr3
static unsigned now;

__attribute__((used, noinline)) static void asswitch_work(struct trap_frame *frame)
{
    (void)frame;
    now ^= 1;
    write_cr3(root[now]);
}

DEFINE_SYSCALL_ENTRY(entry, "asswitch_work")

USER_CODE static void body(uint64_t n, void *ctx)
{
    __asm__ volatile(REPEAT_ASM("syscall\n"
                                "movq (%%rdi), %%rax\nmovq %%rax, 8(%%rdi)\n"
                                "movq 0x1000(%%rdi), %%rax\nmovq %%rax, 0x1008(%%rdi)\n"
                                "movq 0x2000(%%rdi), %%rax\nmovq %%rax, 0x2008(%%rdi)\n"
                                "movq 0x3000(%%rdi), %%rax\nmovq %%rax, 0x3008(%%rdi)\n")
                     : [left] "+r"(n)
                     : "D"(ctx)
                     : "rax", "rcx", "r11", "cc", "memory");
}

static uint64_t copy_of(uint64_t table) // physical addresses
{
    uint64_t *copy = page_alloc(), *original = (uint64_t *)((table & PTE_ADDR) + KERNEL_VIRT_BASE);
    for (unsigned k = 0; k < 512; k++)
        copy[k] = original[k];
    return phys_of(copy);
}

static void make_space(unsigned i)
{
    root[i] = copy_of(read_cr3());
    uint64_t *top = (uint64_t *)(root[i] + KERNEL_VIRT_BASE);
    top[0] = copy_of(top[0]) | (top[0] & ~PTE_ADDR) | PTE_U; // where user programs are
    write_cr3(root[i]);
    entry_map_user_text(USER_TEXT);
    for (unsigned k = 0; k < PAGES; k++)
        map_page(DATA + k * 4096, phys_of(page_alloc()), PTE_P | PTE_W | PTE_U);
}

static void measure(void *name)
{
    bench_run_user(name, entry_user_function(USER_TEXT, body), (void *)DATA);
}

static bool run(const char *name)
{
    now = 0;
    write_cr3(root[now]);
    struct caught fault = catch_fault(measure, (void *)name); // as in bench/nano/syscall.c
    if (fault.vector >= 0)
        print(RS1_PREFIX "skip name=%s why=syscall from CPL 3 does not reach LSTAR at CPL 0: vector %d, error 0x%lx\n",
              name, fault.vector, fault.error);
    return fault.vector < 0;
}

int image_main(void)
{
    static struct entry_cpu cpu;
    static uint64_t stack[512] __attribute__((aligned(16)));
    uint64_t old = read_cr3();
    for (unsigned i = 0; i < 2; i++, write_cr3(old))
        make_space(i);
    entry_init(&cpu, entry, stack + 512);
    if (run(image_name) && cpuid(1, 0).ecx & CPUID_1_ECX_PCID) {
        write_cr3(old);
        write_cr4(read_cr4() | CR4_PCIDE);
        for (unsigned i = 0; i < 2; i++)
            root[i] |= CR3_NOFLUSH | (i + 1);
        run("asswitch_pcid");
    }
    write_cr3(old);
    return 0;
}
