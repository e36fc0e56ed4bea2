// SPDX-License-Identifier: BSD-2-Clause
// The page walk. One pass reads the entries from the PML4 down and collects their permissions; only when the access is
// allowed are accessed and dirty bits written, as the processor does it.
#include "x86/paging.h"

#include "x86/regs.h"

#define LEVELS 4
#define PHYS_BITS 46 // as machine/cpuid.c announces; address bits above are reserved
#define RESERVED_ADDR (PTE_ADDR & ~((1ull << PHYS_BITS) - 1))

struct walk {
    uint64_t *entry[LEVELS]; // from the PML4E down, host pointers into guest RAM
    unsigned depth;          // entries used
    uint64_t all;            // AND of the entries: U and W
    uint64_t any;            // OR of the entries: NX
};

// Reserved bits of a leaf or table entry at this level (4 = PML4E; SDM vol. 3, table 4-15 to 4-20).
static uint64_t reserved_bits(const struct paging *mode, unsigned level, bool leaf)
{
    uint64_t reserved = RESERVED_ADDR | (mode->nxe ? 0 : PTE_NX);
    if (level == 4)
        reserved |= PTE_PS;
    if (leaf && level == 3)
        reserved |= 0x3fffe000ull; // address bits below 1 GiB, PAT bit 12 excepted
    if (leaf && level == 2)
        reserved |= 0x1fe000ull;
    return reserved;
}

// The PTE walk proper. 0, or the error code's P and RSVD bits.
static bool read_entries(const struct guest_ram *ram, const struct paging *mode, uint64_t va, struct walk *w,
                         uint32_t *error)
{
    uint64_t table = mode->cr3 & PTE_ADDR;
    w->depth = 0;
    w->all = ~0ull;
    w->any = 0;
    for (unsigned level = LEVELS; level >= 1; level--) {
        uint64_t *entry = ram_at(ram, gpa(table + ((va >> (3 + 9 * level)) & 0x1ff) * 8), 8);
        if (!entry) { // a table outside RAM reads as all ones: present, with reserved bits set
            *error = PF_PRESENT | PF_RSVD;
            return false;
        }
        uint64_t e = *entry;
        if (!(e & PTE_P)) {
            *error = 0;
            return false;
        }
        bool leaf = level == 1 || (level <= 3 && (e & PTE_PS));
        if (e & reserved_bits(mode, level, leaf)) {
            *error = PF_PRESENT | PF_RSVD;
            return false;
        }
        w->entry[w->depth++] = entry;
        w->all &= e;
        w->any |= e;
        if (leaf)
            break;
        table = e & PTE_ADDR;
    }
    return true;
}

// SDM vol. 3, 4.6.1: does the collected permission allow the access?
static bool allowed(const struct paging *mode, const struct walk *w, uint32_t access)
{
    bool user_page = w->all & PTE_U;
    bool writable = w->all & PTE_W;
    bool no_execute = mode->nxe && (w->any & PTE_NX);
    if (access & PF_FETCH) {
        if (no_execute)
            return false;
        return access & PF_USER ? user_page : !(user_page && mode->smep);
    }
    if (access & PF_USER)
        return user_page && (writable || !(access & PF_WRITE));
    if (user_page && mode->smap)
        return false;
    return writable || !(access & PF_WRITE) || !mode->wp;
}

static void set_accessed_dirty(struct walk *w, bool write)
{
    for (unsigned i = 0; i < w->depth; i++) {
        uint64_t bits = PTE_A | (write && i == w->depth - 1 ? PTE_D : 0);
        if ((*w->entry[i] & bits) != bits)
            *w->entry[i] |= bits;
    }
}

static uint64_t page_size(const struct walk *w)
{
    return w->depth == 4 ? 1ull << 12 : w->depth == 3 ? 1ull << 21 : 1ull << 30;
}

// The 4 KiB page at va within the leaf's.
static gpa_t page_of(const struct walk *w, uint64_t va)
{
    uint64_t size = page_size(w);
    uint64_t frame = *w->entry[w->depth - 1] & PTE_ADDR & ~(size - 1);
    return gpa(frame | (va & (size - 1) & GUEST_PAGE_MASK));
}

bool paging_walk(const struct guest_ram *ram, const struct paging *mode, uint64_t va, uint32_t access,
                 struct translation *out, uint32_t *error)
{
    struct walk w;
    uint32_t fault = 0;
    bool present = read_entries(ram, mode, va, &w, &fault);
    if (present && !allowed(mode, &w, access)) {
        present = false;
        fault = PF_PRESENT;
    }
    if (!present) {
        // The fetch bit is reported only where fetches are special: with NX or SMEP (SDM vol. 3, 4.7).
        bool show_fetch = (access & PF_FETCH) && (mode->nxe || mode->smep);
        *error = fault | (access & (PF_WRITE | PF_USER)) | (show_fetch ? PF_FETCH : 0);
        return false;
    }

    set_accessed_dirty(&w, access & PF_WRITE);
    uint64_t leaf = *w.entry[w.depth - 1];
    out->page = page_of(&w, va);
    out->page_size = page_size(&w);
    out->writable = w.all & PTE_W;
    out->user = w.all & PTE_U;
    out->no_execute = mode->nxe && (w.any & PTE_NX);
    out->dirty = leaf & PTE_D;
    out->global = leaf & PTE_G;
    return true;
}

bool paging_peek(const struct guest_ram *ram, const struct paging *mode, uint64_t va, struct paging_leaf *out)
{
    struct walk w;
    uint32_t fault;
    if (!read_entries(ram, mode, va, &w, &fault))
        return false;
    out->entry = w.entry[w.depth - 1];
    out->above = ~0ull;
    out->no_execute_above = false;
    for (unsigned i = 0; i + 1 < w.depth; i++) {
        out->above &= *w.entry[i] | ~(PTE_W | PTE_U | PTE_A);
        out->no_execute_above |= !!(*w.entry[i] & PTE_NX);
    }
    out->page = page_of(&w, va);
    out->page_size = page_size(&w);
    return true;
}

bool paging_allows(const struct guest_ram *ram, const struct paging *mode, uint64_t va, uint32_t access, gpa_t *page,
                   uint64_t *size)
{
    struct walk w;
    uint32_t fault;
    if (!read_entries(ram, mode, va, &w, &fault) || !allowed(mode, &w, access))
        return false;
    *page = page_of(&w, va);
    *size = page_size(&w);
    return true;
}
