// SPDX-License-Identifier: BSD-2-Clause
// What a guest finds at its entry (guest_abi.h, "Entry"): descriptor table, page tables, command line and boot_info
// below 1 MiB, and the vCPU's state, which is the 64-bit Linux boot protocol's.
#include <stdio.h>
#include <string.h>

#include "include/guest_abi.h"
#include "machine/loader.h"
#include "x86/regs.h"

#define BOOT_CS 0x10
#define BOOT_DS 0x18
#define CMDLINE_BYTES 2048
#define BOOT_STACK_TOP BOOT_PAGE_TABLES_ADDR // a little room for who needs it, down to the command line

// Page tables, by page from BOOT_PAGE_TABLES_ADDR. The top 2 GiB share the page directories of the lowest two.
enum { PT_PML4, PT_PDPT_LOW, PT_PDPT_HIGH, PT_PD, PT_PAGES = PT_PD + 4 };
enum { ENTRIES = 512 };

#define TABLE_BITS (PTE_P | PTE_W)
#define LEAF_BITS (PTE_P | PTE_W | PTE_PS)
#define LARGE_PAGE (2ull << 20)

static uint64_t table_addr(unsigned page)
{
    return BOOT_PAGE_TABLES_ADDR + page * GUEST_PAGE_SIZE;
}

static void write_page_tables(const struct guest_ram *ram)
{
    uint64_t *t = ram_at(ram, gpa(BOOT_PAGE_TABLES_ADDR), PT_PAGES * GUEST_PAGE_SIZE);
    memset(t, 0, PT_PAGES * GUEST_PAGE_SIZE);
    t[PT_PML4 * ENTRIES] = table_addr(PT_PDPT_LOW) | TABLE_BITS;
    t[PT_PML4 * ENTRIES + 511] = table_addr(PT_PDPT_HIGH) | TABLE_BITS;
    for (unsigned i = 0; i < 4; i++)
        t[PT_PDPT_LOW * ENTRIES + i] = table_addr(PT_PD + i) | TABLE_BITS;
    for (unsigned i = 0; i < 2; i++)
        t[PT_PDPT_HIGH * ENTRIES + 510 + i] = table_addr(PT_PD + i) | TABLE_BITS;
    for (unsigned i = 0; i < 4 * ENTRIES; i++) {
        uint64_t addr = i * LARGE_PAGE;
        t[PT_PD * ENTRIES + i] = addr | LEAF_BITS | (addr >= RAM_HOLE_START ? PTE_PCD | PTE_PWT : 0);
    }
}

static const uint64_t boot_gdt[] = {
    0, 0,
    0x00af9b000000ffff, // BOOT_CS: 64-bit code, accessed
    0x00cf93000000ffff, // BOOT_DS: flat data, accessed
};

static void set_segments(struct vcpu_state *s)
{
    const struct segment code = {.limit = 0xffffffff,
                                 .selector = BOOT_CS,
                                 .attr = SEG_G | SEG_L | SEG_P | SEG_S | SEG_TYPE_CODE | SEG_TYPE_WRITABLE |
                                         SEG_TYPE_ACCESSED}; // "writable" means readable in a code segment
    const struct segment data = {.limit = 0xffffffff,
                                 .selector = BOOT_DS,
                                 .attr = SEG_G | SEG_DB | SEG_P | SEG_S | SEG_TYPE_WRITABLE | SEG_TYPE_ACCESSED};
    for (unsigned i = 0; i < SEG_COUNT; i++)
        s->seg[i] = i == SEG_CS ? code : data;
    // As after reset, but in the 64-bit form that VM entry wants to see (SDM vol. 3, 27.3.1.2).
    s->tr = (struct segment){.limit = 0xffff, .attr = SEG_P | SEG_TYPE_TSS_BUSY};
    s->ldtr = (struct segment){.limit = 0xffff, .attr = SEG_P | SEG_TYPE_LDT, .unusable = true};
    s->gdtr = (struct table_reg){.base = BOOT_GDT_ADDR, .limit = sizeof(boot_gdt) - 1};
    s->idtr = (struct table_reg){.limit = 0}; // no handler: an exception before the guest's own IDT is a shutdown
}

// The legacy region of the XSAVE area as FNINIT and reset leave it (SDM vol. 1, 13.6 and vol. 3, table 10-1).
static void set_fpu(struct vcpu_state *s)
{
    const uint16_t fcw = 0x37f;
    const uint32_t mxcsr = 0x1f80;
    const uint64_t xstate_bv = 3; // x87 and SSE: the values above are to be taken
    memcpy(s->xsave, &fcw, sizeof(fcw));
    memcpy(s->xsave + 24, &mxcsr, sizeof(mxcsr));
    memcpy(s->xsave + 512, &xstate_bv, sizeof(xstate_bv));
    s->xcr0 = 1;
}

static void set_state(struct vcpu_state *s, uint64_t entry)
{
    memset(s, 0, sizeof(*s));
    s->rip = entry;
    s->rflags = FLAG_FIXED1;
    s->gpr[RSI] = BOOT_INFO_ADDR;
    s->gpr[RSP] = BOOT_STACK_TOP;
    set_segments(s);
    s->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
    s->cr3 = table_addr(PT_PML4);
    s->cr4 = CR4_PAE;
    s->efer = EFER_LME | EFER_LMA;
    s->dr6 = 0xffff0ff0; // SDM vol. 3, table 10-1
    s->dr7 = 0x400;
    s->pat = PAT_RESET;
    s->apic_base = APIC_DEFAULT_ADDR | APIC_BASE_ENABLE | APIC_BASE_BSP;
    set_fpu(s);
}

int boot_prepare(const struct guest_ram *ram, const char *cmdline, uint64_t entry, struct vcpu_state *state, char *err,
                 size_t err_size)
{
    size_t length = cmdline ? strlen(cmdline) : 0;
    if (length >= CMDLINE_BYTES) {
        snprintf(err, err_size, "the command line has %zu bytes, more than %d", length, CMDLINE_BYTES - 1);
        return -1;
    }
    char *at = ram_at(ram, gpa(BOOT_CMDLINE_ADDR), CMDLINE_BYTES);
    memset(at, 0, CMDLINE_BYTES);
    if (length)
        memcpy(at, cmdline, length);

    const struct boot_info info = {.magic = BOOT_INFO_MAGIC, .ram_bytes = ram->size, .cmdline = BOOT_CMDLINE_ADDR};
    memcpy(ram_at(ram, gpa(BOOT_INFO_ADDR), sizeof(info)), &info, sizeof(info));
    memcpy(ram_at(ram, gpa(BOOT_GDT_ADDR), sizeof(boot_gdt)), boot_gdt, sizeof(boot_gdt));
    write_page_tables(ram);
    set_state(state, entry);
    return 0;
}
