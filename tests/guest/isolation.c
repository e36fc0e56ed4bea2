// SPDX-License-Identifier: BSD-2-Clause
// Two top-level tables for one process, as a kernel has them that keeps its memory from user code by page tables
// (Linux's KPTI): by the one user code runs, and of the kernel there is no more than a page of code and one of data,
// the way in and out; by the other one the kernel runs, and user code is not executable. What has changed must be seen
// behind each way in and out (SDM vol. 3, 4.10.4), with PCIDs and without.
#include "guest/insn.h"
#include "guest/layout.h"
#include "tests/guest/feature.h"
#include "tests/guest/space.h"

IMAGE("isolation");

#define CODE 0x700000200000ull
#define KERNEL_DATA 0xffffd00000000000ull // nothing else is there
#define USER_PCID 0x800u
#define PAGE 4096u
#define ROUNDS 40u

// What the way in needs before it has the kernel's tables.
__attribute__((used, aligned(PAGE))) static volatile struct {
    uint64_t kernel_cr3, user_cr3, rsp;
    uint8_t rest[PAGE - 24];
} cells;

// User code at `rip` until its syscall: rax then.
uint64_t go_to_user(uint64_t rip);
void way_in(void); // at LSTAR
__asm__(".text\n.balign 4096\n"
        "go_to_user: pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "movq %rsp, cells+16(%rip); movq %rdi, %rcx; movq $2, %r11\n"
        "movq cells+8(%rip), %rdx; movq %rdx, %cr3; sysretq\n"
        "way_in: movq cells(%rip), %rdx; movq %rdx, %cr3; movq cells+16(%rip), %rsp\n"
        "popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx; ret\n"
        ".balign 4096");

static uint64_t *table_at(uint64_t entry)
{
    return (uint64_t *)((entry & PTE_ADDR) + KERNEL_VIRT_BASE);
}

// As map_page(), by tables that are not loaded.
static void map_in(uint64_t root, const void *page)
{
    uint64_t va = (uint64_t)page, *table = table_at(root);
    for (unsigned shift = 39; shift > 12; shift -= 9) {
        uint64_t *entry = &table[va >> shift & 511];
        if (!(*entry & PTE_P))
            *entry = phys_of(page_alloc()) | PTE_P | PTE_W;
        table = table_at(*entry);
    }
    table[va >> 12 & 511] = phys_of(page) | PTE_P | PTE_W;
}

// ---- User code, on two pages: mov $a, %eax; jmp page 1, which has add $b, %eax; syscall ----

static void put32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint8_t *first_page(uint32_t a)
{
    uint8_t *page = page_alloc();
    page[0] = 0xb8, put32(page + 1, a);
    page[5] = 0xe9, put32(page + 6, PAGE - 10);
    return page;
}

static uint8_t *second_page(uint32_t b)
{
    uint8_t *page = page_alloc();
    page[0] = 0x05, put32(page + 1, b);
    page[5] = 0x0f, page[6] = 0x05;
    return page;
}

static void set_second(const uint8_t *page)
{
    *pte_of(CODE + PAGE, 1) = phys_of(page) | PTE_P | PTE_U;
}

// ---- Checks ----

static void set_kernel_data(uint8_t value)
{
    uint8_t *page = page_alloc();
    *page = value;
    *pte_of(KERNEL_DATA, 1) = phys_of(page) | PTE_P | PTE_W;
    invlpg((void *)KERNEL_DATA);
}

static void in_and_out(uint64_t result, uint8_t data)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        CHECK_EQ(go_to_user(CODE), result);
        CHECK_EQ(*(volatile uint8_t *)KERNEL_DATA, data);
    }
}

static uint8_t *pages[5];

static void changes(void)
{
    set_second(pages[0]);
    write_cr3(read_cr3());
    go_to_user(CODE);
    set_kernel_data(1);
    in_and_out(1000 + 10, 1);
    set_kernel_data(2);
    in_and_out(1000 + 10, 2);
    put32(pages[0] + 1, 15); // by the kernel's alias
    in_and_out(1000 + 15, 2);
    put32(pages[0] + 1, 10);
}

// Behind an entry with a flush, which without PCIDs is each.
static void flushed_by_cr3(uint64_t no_flush)
{
    set_second(pages[1]);
    cells.user_cr3 &= ~no_flush;
    CHECK_EQ(go_to_user(CODE), 1000 + 20);
    cells.user_cr3 |= no_flush;
    in_and_out(1000 + 20, 2);
    set_second(pages[2]);
    cells.user_cr3 &= ~no_flush;
    in_and_out(1000 + 30, 2);
    cells.user_cr3 |= no_flush;
}

static void flushed_by_invpcid(void)
{
    struct {
        uint64_t pcid, address;
    } what = {USER_PCID, CODE + PAGE};
    if (!HAS_INVPCID)
        return;
    for (uint64_t kind = 0; kind < 4; kind++) {
        set_second(pages[kind]);
        if (kind == 1)
            what.address = 0;
        if (kind > 1)
            what.pcid = 0;
        __asm__ volatile("invpcid %1, %0" : : "r"(kind), "m"(what) : "memory");
        in_and_out(1000 + 10 * (kind + 1), 2);
    }
}

int image_main(void)
{
    uint64_t kernel = read_cr3(), user = phys_of(page_alloc()), lstar = read_msr(MSR_LSTAR);
    for (unsigned i = 0; i < 5; i++)
        pages[i] = second_page(10 * (i + 1));
    map_page(CODE, phys_of(first_page(1000)), PTE_P | PTE_U);
    map_page(CODE + PAGE, phys_of(pages[0]), PTE_P | PTE_U);
    map_page(KERNEL_DATA, phys_of(page_alloc()), PTE_P | PTE_W);
    write_msr(MSR_LSTAR, (uint64_t)way_in);
    cells.kernel_cr3 = cells.user_cr3 = kernel; // the way alone, where what goes wrong can be told
    CHECK_EQ(go_to_user(CODE), 1000 + 10);
    table_at(user)[CODE >> 39 & 511] = *pte_of(CODE, 4);
    *pte_of(CODE, 4) |= PTE_NX;
    map_in(user, (const void *)go_to_user);
    map_in(user, (const void *)&cells);
    cells.user_cr3 = user;
    changes();
    flushed_by_cr3(0);
    if (HAS_PCID) {
        write_cr4(read_cr4() | CR4_PCIDE);
        cells.kernel_cr3 = kernel | CR3_NOFLUSH;
        cells.user_cr3 = user | USER_PCID;
        go_to_user(CODE);
        cells.user_cr3 |= CR3_NOFLUSH;
        flushed_by_cr3(CR3_NOFLUSH);
        flushed_by_invpcid();
        write_cr4(read_cr4() & ~(uint64_t)CR4_PCIDE);
    } else {
        skip("no PCID");
    }
    write_msr(MSR_LSTAR, lstar);
    return 0;
}
