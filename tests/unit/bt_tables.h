// SPDX-License-Identifier: BSD-2-Clause
// A translator's memory without its CPU: RAM with page tables that a test makes by hand, the TLB and the map of host
// mappings.
#ifndef RINGSIDE_TESTS_UNIT_BT_TABLES_H
#define RINGSIDE_TESTS_UNIT_BT_TABLES_H

#include <stdlib.h>

#include "engines/bt/map.h"
#include "engines/bt/memory.h"
#include "engines/bt/region.h"
#include "machine/ram.h"
#include "tests/unit/bt_possible.h"
#include "tests/unit/check.h"

#define RAM_BYTES (16ull << 20)
#define PML4 0x1000ull // where cr3 points to
#define PDPT 0x2000ull
#define PD 0x3000ull
#define PT 0x4000ull
#define FRAMES 0x400000ull // of PT's entries
#define LARGE 0x600000ull
#define LARGE_VA 0x200000ull
#define PAGE GUEST_PAGE_SIZE

struct bt_tables {
    struct guest_ram ram;
    struct vcpu vcpu;
    struct bt *bt;
};

static inline void bt_tables_start(struct bt_tables *t)
{
    char err[200] = "";
    memset(t, 0, sizeof *t);
    if (ram_create(&t->ram, RAM_BYTES, err, sizeof err) || !(t->bt = region_create(err, sizeof err))) {
        printf("not ok bt_tables.h: %s\n", err);
        exit(1);
    }
    t->bt->vcpu = &t->vcpu;
    t->bt->ram = &t->ram;
    t->bt->tlb = tlb_create();
    t->bt->map = map_create(&t->ram);
    t->bt->cr0 = CR0_WP;
    t->bt->cr3 = PML4;
    t->bt->efer = EFER_NXE;
}

static inline void bt_tables_stop(struct bt_tables *t)
{
    map_destroy(t->bt->map);
    tlb_destroy(t->bt->tlb);
    region_destroy(t->bt);
    ram_destroy(&t->ram);
}

static inline uint64_t *cell(struct bt_tables *t, uint64_t table, unsigned index)
{
    return (uint64_t *)(t->ram.base + table) + index;
}

#endif
