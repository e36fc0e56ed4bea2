// SPDX-License-Identifier: BSD-2-Clause
// Guest registers out of their host registers, and back.
#include "engines/bt/park.h"

#include "engines/bt/translator.h"

#define ALL 0xffffu

static uint32_t cells_at_home(const struct translator *t)
{
    return t->bt->world == WORLD_FAST ? 0 : PARKED_AT_HOME;
}

void park_begin(struct translator *t)
{
    t->parking.in_cell = (uint16_t)cells_at_home(t);
    t->parking.in_register = (uint16_t)~cells_at_home(t);
}

static void load(const struct translator *t, struct code *code, uint32_t registers)
{
    for (unsigned reg = 0; reg < GPR_COUNT; reg++)
        if (registers >> reg & 1)
            put_load(code, reg, &t->bt->parked[reg]);
}

static void store(const struct translator *t, struct code *code, uint32_t registers)
{
    for (unsigned reg = 0; reg < GPR_COUNT; reg++)
        if (registers >> reg & 1)
            put_store(code, &t->bt->parked[reg], reg);
}

void park_need(struct translator *t, uint32_t registers)
{
    load(t, t->hot, registers & ~t->parking.in_register);
    t->parking.in_register |= (uint16_t)registers;
}

void park_vacate(struct translator *t, uint32_t registers)
{
    store(t, t->hot, registers & ~t->parking.in_cell);
    t->parking.in_cell |= (uint16_t)registers;
    t->parking.in_register &= (uint16_t)~registers;
}

void park_changed(struct translator *t, uint32_t registers)
{
    t->parking.in_register |= (uint16_t)registers;
    t->parking.in_cell &= (uint16_t)~registers;
}

void park_home_aside(const struct translator *t, struct code *code)
{
    uint32_t cells = cells_at_home(t);
    store(t, code, cells & ~t->parking.in_cell);
    load(t, code, ~cells & ALL & ~t->parking.in_register);
}

void park_home(struct translator *t)
{
    park_home_aside(t, t->hot);
    t->parking.in_cell |= (uint16_t)cells_at_home(t);
    t->parking.in_register |= (uint16_t)~cells_at_home(t);
}

void park_settle(struct translator *t)
{
    park_home(t);
    park_need(t, ALL);
}

void park_anything_changed(struct translator *t)
{
    if (t->bt->world != WORLD_FAST)
        park_changed(t, ALL);
}
