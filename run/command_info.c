// SPDX-License-Identifier: BSD-2-Clause
// `ringside engines` and `ringside list`: what is there.
#include <stdio.h>
#include <string.h>

#include "run/commands.h"
#include "run/engines.h"
#include "run/images.h"
#include "run/results.h"

enum exit_status command_engines(const struct options *o, char *err, size_t err_size)
{
    (void)err, (void)err_size;
    json_t *list = json_array();
    for (size_t i = 0; i < engine_count; i++) {
        const struct engine *engine = engine_table[i];
        struct engine_info info = {0};
        char column[COLUMN_SIZE];
        engine->probe(&info);
        engine_column(engine->name, &info, column);
        json_array_append_new(list, json_engine(engine->name, &info, engine_counts(engine, engine->name)));
        if (!o->json)
            printf("%-8s %s\n         %s%s%s\n", engine->name, engine->summary,
                   info.available ? "can run here: " : "cannot run here: ", info.available ? column : info.reason,
                   info.available && info.reason[0] ? info.reason : "");
    }
    if (o->json) {
        json_t *object = json_pack("{s:O}", "engines", list);
        json_dumpf(object, stdout, JSON_INDENT(1));
        putchar('\n');
        json_decref(object);
    }
    json_decref(list);
    return STATUS_OK;
}

enum exit_status command_list(const struct options *o, char *err, size_t err_size)
{
    struct image_list images;
    if (images_find(&images, err, err_size))
        return STATUS_UNAVAILABLE;
    for (size_t i = 0; i < images.count; i++) {
        const struct image *image = &images.image[i];
        char line[512];
        if (image_is_test(image) && !o->all)
            continue;
        images_describe(&images, image, line, sizeof line);
        printf("%-8s %-16s %s\n", image->suite, image->name, line);
    }
    images_free(&images);
    return STATUS_OK;
}
