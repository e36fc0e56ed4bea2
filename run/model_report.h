// SPDX-License-Identifier: BSD-2-Clause
// How `ringside model` shows what the model says: as text, and as JSON.
#ifndef RINGSIDE_RUN_MODEL_REPORT_H
#define RINGSIDE_RUN_MODEL_REPORT_H

#include <jansson.h>

#include "model/answer.h"
#include "model/map.h"

enum { NUMBER_SIZE = 32 };

// A number with the digits that it can carry, and commas: 12,733; 0.28.
const char *number_text(double number, char text[static NUMBER_SIZE]);

void report_answer(const struct model *m, const struct answer *a);     // some lines
void report_comparison(const struct model *m, const struct answer *a); // one line: of --validate
void report_score(struct score *s);                                    // one line
void report_map(const struct map *map);
int report_list(struct model *m, char *err, size_t err_size);

json_t *json_answer(const struct model *m, const struct answer *a);
json_t *json_score(struct score *s);
json_t *json_map(const struct map *map);
json_t *json_list(struct model *m, char *err, size_t err_size); // NULL with one line in err

#endif
