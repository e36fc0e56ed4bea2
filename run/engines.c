// SPDX-License-Identifier: BSD-2-Clause
// The table of engines, and what is said of each.
#include "run/engines.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#include "run/suggest.h"
#include "run/variant.h"

#define CPUID_1_ECX_HYPERVISOR (1u << 31) // SDM leaves the bit to hypervisors, which all set it

const struct engine *const engine_table[] = {&engine_interp, &engine_bt, &engine_vtx};
const size_t engine_count = sizeof engine_table / sizeof *engine_table;

const struct engine *engine_find(const char *name, char *err, size_t err_size)
{
    struct suggestion s = suggest_for(name);
    for (size_t i = 0; i < engine_count; i++) {
        if (!strcmp(engine_table[i]->name, name))
            return engine_table[i];
        suggest_offer(&s, engine_table[i]->name);
    }
    char hint[96];
    snprintf(err, err_size, "no engine '%s'%s", name, suggest_text(&s, hint, sizeof hint));
    return NULL;
}

void native_probe(struct engine_info *info)
{
    unsigned a, b, c = 0, d;
    __get_cpuid(1, &a, &b, &c, &d);
    *info = (struct engine_info){.available = true};
    snprintf(info->backend, sizeof info->backend, "host process");
    snprintf(info->paging, sizeof info->paging, "CPL 3");
    snprintf(info->nested, sizeof info->nested, c & CPUID_1_ECX_HYPERVISOR ? "in a VM" : "bare metal");
}

event_mask engine_counts(const struct engine *engine, const char *name)
{
    return engine->counts_with ? engine->counts_with(variant_settings(name)) : engine->counts;
}

void engine_column(const char *name, const struct engine_info *info, char column[static COLUMN_SIZE])
{
    if (!info->available) {
        snprintf(column, COLUMN_SIZE, "%s: not available", name);
        return;
    }
    bool stand_in = !info->hardware && !strncmp(info->backend, "kvm", 3);
    size_t engine = strcspn(name, ":"); // its settings may follow
    bool says_more = strncmp(info->backend, name, engine) != 0 || info->backend[engine];
    snprintf(column, COLUMN_SIZE, "%s: %s%s%s%s%s%s", name, says_more ? info->backend : "",
             stand_in ? " (software back end, not hardware)" : "", says_more ? ", " : "", info->paging,
             info->paging[0] ? ", " : "", info->nested);
}
