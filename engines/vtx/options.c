// SPDX-License-Identifier: BSD-2-Clause
// The engine's options, and what they make it count.
#include <stdio.h>
#include <string.h>

#include "engines/vtx/vtx.h"

const struct engine_option vtx_option_table[] = {
    {"exits", NULL, "count exits by the CPU's reason, by tracing KVM: needs root, and makes every exit dearer"},
    {0},
};

int vtx_options_parse(struct vtx_options *options, const char *settings, char *err, size_t err_size)
{
    *options = (struct vtx_options){0};
    for (const char *at = settings ? settings : ""; *at;) {
        size_t length = strcspn(at, ":");
        if (length != strlen("exits") || strncmp(at, "exits", length)) {
            snprintf(err, err_size, "engine vtx has no option '%.*s'", length < 40 ? (int)length : 40, at);
            return -1;
        }
        options->exits = true;
        at += length + (at[length] == ':');
    }
    return 0;
}

int vtx_options_check(const char *settings, char *err, size_t err_size)
{
    struct vtx_options options;
    return vtx_options_parse(&options, settings, err, err_size);
}
