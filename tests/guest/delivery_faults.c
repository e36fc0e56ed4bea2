// SPDX-License-Identifier: BSD-2-Clause
// What an event's delivery reads and writes may fault as any access: gate, code segment's descriptor, TSS and stack, by
// CPL 0's rights whoever executes int n (SDM vol. 3, 4.6, "implicit supervisor accesses", 6.13 and 6.14). The first
// instruction of a fault's handler finds all as it was before.
#include "tests/guest/delivery.h"
#include "tests/guest/judge.h"

IMAGE("delivery_faults");

#define TABLES TEST_VA // two pages each: IDT, GDT, TSS; what the library needs of them is in the first one
#define GDT_SECOND (TABLES + 3 * PAGE)
#define TSS_SECOND (TABLES + 5 * PAGE)
#define STACK (TABLES + 7 * PAGE) // a page for a stack, alone
#define TYPE_TSS 9
#define IST 3
#define SELECTOR 0 // OWN_SELECTOR of the entry that lies in the second page

static uint64_t *own_gdt_at;
static struct tss *own_tss;
static struct gate *own_gate;

static void set_up(void)
{
    for (unsigned i = 0; i < 8; i++)
        map_page(TABLES + i * PAGE, phys_of(page_alloc()), PTE_P | PTE_W);
    own_gate = own_idt(TABLES);
    own_gdt_at = (uint64_t *)(GDT_SECOND - OWN_SELECTOR(SELECTOR));
    own_gdt(own_gdt_at);
    own_gdt_at[OWN_SELECTOR(SELECTOR) / 8] = CODE64_DESCRIPTOR(0);
    own_tss = (struct tss *)(TSS_SECOND - 36); // rsp0 to rsp2 before the border, all ISTs behind it
    *own_tss = guest.tss;
    uint64_t base = (uint64_t)own_tss;
    own_gdt_at[TSS_SELECTOR / 8] = D_LIMIT(sizeof(struct tss) - 1) | D_BASE(base) | D_TYPE(TYPE_TSS) | D_P;
    own_gdt_at[TSS_SELECTOR / 8 + 1] = base >> 32;
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}

static void gate_page(void)
{
    uint64_t at = (uint64_t)own_gate & ~(PAGE - 1), entry = *pte_of(at, 1);
    CHECK(works());
    remap(at, 0);
    CHECK(gives(VEC_PF, 0, (uint64_t)own_gate));
    remap(at, entry);
    CHECK(works());
    struct gate good = *own_gate;
    own_gate->attributes = (uint16_t)((good.attributes & ~0x1f00u) | 5u << 8); // a task gate, of which there are none
    CHECK_NOT_QEMU(gives(VEC_GP, VECTOR * 8 + 2, 0));
    *own_gate = good;
}

static void code_page(void)
{
    uint64_t *descriptor = &own_gdt_at[OWN_SELECTOR(SELECTOR) / 8], at = GDT_SECOND, entry = *pte_of(at, 1);
    own_gate->selector = OWN_SELECTOR(SELECTOR);
    CHECK(works());
    CHECK_NOT_QEMU(*descriptor >> 40 & 1); // accessed
    remap(at, 0);
    CHECK(gives(VEC_PF, 0, (uint64_t)descriptor));
    remap(at, entry & ~PTE_W);
    CHECK(works());
    remap(at, entry);
    *descriptor &= ~D_TYPE(1);
    remap(at, entry & ~PTE_W); // to mark it is a write
    CHECK_NOT_QEMU(gives(VEC_PF, PF_PRESENT | PF_WRITE, (uint64_t)descriptor));
    remap(at, entry);
    *descriptor &= ~D_P;
    CHECK_NOT_QEMU(gives(VEC_NP, OWN_SELECTOR(SELECTOR), 0));
    *descriptor = DATA_DESCRIPTOR(0);
    CHECK(gives(VEC_GP, OWN_SELECTOR(SELECTOR), 0));
    own_gate->selector = KERNEL_CS;
    CHECK(works());
}

static void stack_pages(void)
{
    uint64_t at = TSS_SECOND, entry = *pte_of(at, 1), stack = *pte_of(STACK, 1);
    own_gate->attributes |= IST;
    own_tss->ist[IST - 1] = STACK + PAGE;
    CHECK(works());
    remap(at, 0);
    CHECK(gives(VEC_PF, 0, (uint64_t)&own_tss->ist[IST - 1]));
    remap(at, entry);
    remap(STACK, 0);
    CHECK(gives(VEC_PF, PF_WRITE, STACK + PAGE - 8));
    remap(STACK, stack & ~PTE_W);
    CHECK(gives(VEC_PF, PF_WRITE | PF_PRESENT, STACK + PAGE - 8));
    remap(STACK, stack);
    own_tss->ist[IST - 1] = 0x800000000010;
    CHECK(gives(VEC_SS, 0, 0));
    own_gate->attributes &= (uint16_t)~IST;
    CHECK(works());
}

int image_main(void)
{
    set_up();
    gate_page();
    code_page();
    stack_pages();
    return 0;
}
