// SPDX-License-Identifier: BSD-2-Clause
// Addresses at which a monitor may keep itself, 0x8000000000 to 0xffffffffff, are the guest's like all others: memory,
// stack, code, string operands and page faults there, once the guest has mapped something of it and reloaded cr3.
#include "tests/guest/access.h"

IMAGE("abuse_window");

#define WINDOW 0x8000000000ull
#define WINDOW_END 0x10000000000ull

static void push_pop(void *va)
{
    __asm__ volatile("movq %%rsp, %%rbx; leaq 64(%%rdi), %%rsp; pushq $77; call 1f; 1: popq %%rax; popq %%rax;"
                     "movq %%rbx, %%rsp"
                     :
                     : "D"(va)
                     : "rax", "rbx", "memory", "cc");
}

static void copy(void *va)
{
    uint64_t n = 512, from = (uint64_t)image_name;
    __asm__ volatile("rep movsb" : "+D"(va), "+S"(from), "+c"(n) : : "memory");
}

static void check_page(uint64_t va)
{
    CHECK_EQ(fault_of(load, va), 0);
    CHECK_EQ(fault_of(store, va), PF_WRITE);
    CHECK_EQ(fault_of(fetch, va), PF_FETCH);
    map_page(va, phys_of(page_alloc()), PTE_P | PTE_W);
    CHECK_EQ(fault_of(store, va), NO_FAULT);
    CHECK_EQ(*(volatile uint8_t *)va, 0x77);
    *(volatile uint8_t *)(va + 8) = RET_INSTRUCTION;
    CHECK_EQ(fault_of(fetch, va + 8), NO_FAULT);
    CHECK_EQ(catch_fault(push_pop, (void *)(va + 512)).vector, (uint64_t)-1);
    CHECK_EQ(*(volatile uint64_t *)(va + 512 + 56), 77);
    CHECK_EQ(catch_fault(copy, (void *)(va + 1024)).vector, (uint64_t)-1);
    CHECK_EQ(*(volatile uint8_t *)(va + 1024), image_name[0]);
    CHECK_EQ(fault_of(store, va - 1), PF_WRITE);
    CHECK_EQ(fault_of(store, va + PAGE), PF_WRITE);
}

int image_main(void)
{
    use_ist(VEC_PF, 2);
    map_page(WINDOW + 0x100000000, 0, 0); // the levels above it
    write_cr3(read_cr3());
    check_page(WINDOW + PAGE);
    check_page(0xd040000000); // engine bt's own region, by its bias
    check_page(0xd000000000); // its program
    check_page(0xfff7ff0000); // its libraries and stack, roughly
    check_page(WINDOW_END - 2 * PAGE);
    return 0;
}
