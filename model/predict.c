// SPDX-License-Identifier: BSD-2-Clause
// What does not happen costs nothing, and needs no price; what is priced at nothing needs no count. All else needs
// both.
#include "model/predict.h"

static bool is_zero(const struct value *v)
{
    return v->state == VALUE_KNOWN && v->number == 0;
}

static struct value part(const struct value *count, const struct value *price)
{
    if (is_zero(count) || is_zero(price))
        return value_of(0, CLASS_PUBLISHED);
    return value_join(count, '*', price);
}

void predict(const struct events_map *events, const struct prices *prices, const struct counts *counts,
             struct prediction *p)
{
    p->cycles = value_of(0, CLASS_PUBLISHED);
    for (size_t i = 0; i < events->sheet.count; i++) {
        p->part[i] = part(&counts->event[i], &prices->event[i]);
        p->cycles = value_join(&p->cycles, '+', &p->part[i]);
    }
}
