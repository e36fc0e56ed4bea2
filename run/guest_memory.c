// SPDX-License-Identifier: BSD-2-Clause
// Guest memory by guest-virtual address, page by page.
#include "run/guest_memory.h"

#include <string.h>

#include "x86/regs.h"

bool guest_translate(const struct guest_ram *ram, const struct vcpu_state *state, uint64_t va, gpa_t *at,
                     uint64_t *size)
{
    const struct paging mode = {.cr3 = state->cr3, .nxe = state->efer & EFER_NXE};
    struct paging_leaf leaf;
    *size = 0;
    *at = gpa(va);
    if (!(state->cr0 & CR0_PG))
        return va >> 32 == 0;
    if (!(state->efer & EFER_LMA) || (int64_t)(va << 16) >> 16 != (int64_t)va || !paging_peek(ram, &mode, va, &leaf))
        return false;
    *at = gpa(leaf.page.v + va % GUEST_PAGE_SIZE);
    *size = leaf.page_size;
    return true;
}

// Host address of the part of [va, va + size) that lies in va's page, which *size becomes; NULL where it is not RAM.
static uint8_t *part_of(const struct guest_ram *ram, const struct vcpu_state *state, uint64_t va, size_t *size)
{
    uint64_t in_page = GUEST_PAGE_SIZE - va % GUEST_PAGE_SIZE, mapping;
    gpa_t at;
    if (*size > in_page)
        *size = in_page;
    return guest_translate(ram, state, va, &at, &mapping) ? ram_at(ram, at, *size) : NULL;
}

size_t guest_read(const struct guest_ram *ram, const struct vcpu_state *state, uint64_t va, void *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        size_t part = size - done;
        const uint8_t *from = part_of(ram, state, va + done, &part);
        if (!from)
            break;
        memcpy((uint8_t *)bytes + done, from, part);
        done += part;
    }
    return done;
}

int guest_write(const struct guest_ram *ram, const struct vcpu_state *state, uint64_t va, const void *bytes,
                size_t size)
{
    for (int writing = 0; writing < 2; writing++) {
        for (size_t done = 0, part; done < size; done += part) {
            part = size - done;
            uint8_t *to = part_of(ram, state, va + done, &part);
            if (!to)
                return -1;
            if (writing)
                memcpy(to, (const uint8_t *)bytes + done, part);
        }
    }
    return 0;
}
