// SPDX-License-Identifier: BSD-2-Clause
// The engine's options: their table, and reading them.
#include <stdio.h>
#include <string.h>

#include "engines/vtx/vtx.h"

enum option { EXITS, IRQCHIP, OPTION_COUNT };

const struct engine_option vtx_option_table[] = {
    [EXITS] = {"exits", NULL,
               "count exits by the CPU's reason, by tracing KVM: needs root, and makes every exit dearer"},
    [IRQCHIP] = {"irqchip", "WHOSE",
                 "interrupt controllers and timers: the kernel's (kernel, default) or, as for the other engines, the "
                 "machine's (user), with which a guest can move"},
    [OPTION_COUNT] = {0},
};

static bool set_option(struct vtx_options *o, enum option option, const char *value)
{
    if (!value != !vtx_option_table[option].value)
        return false;
    if (option == EXITS)
        return o->exits = true;
    o->user_irqchip = !strcmp(value, "user");
    return o->user_irqchip || !strcmp(value, "kernel");
}

// One "NAME[=VALUE]".
static int parse_one(struct vtx_options *o, char *word, char *err, size_t err_size)
{
    size_t length = strcspn(word, "=");
    char *value = word[length] ? word + length + 1 : NULL;
    word[length] = '\0';
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct engine_option *row = &vtx_option_table[i];
        if (strcmp(row->name, word))
            continue;
        if (set_option(o, (enum option)i, value))
            return 0;
        snprintf(err, err_size, "bad value in vtx's option %s%s%.40s: %s", word, value ? "=" : "", value ? value : "",
                 row->help);
        return -1;
    }
    snprintf(err, err_size, "engine vtx has no option '%.40s'", word);
    return -1;
}

int vtx_options_parse(struct vtx_options *options, const char *settings, char *err, size_t err_size)
{
    *options = (struct vtx_options){0};
    for (const char *at = settings ? settings : ""; *at;) {
        char word[64];
        size_t length = strcspn(at, ":");
        snprintf(word, sizeof word, "%.*s", (int)length, at);
        if (parse_one(options, word, err, err_size))
            return -1;
        at += length + (at[length] == ':');
    }
    return 0;
}

int vtx_options_check(const char *settings, char *err, size_t err_size)
{
    struct vtx_options options;
    return vtx_options_parse(&options, settings, err, err_size);
}

bool vtx_has_irqchip(const char *settings)
{
    struct vtx_options options;
    char ignored[1];
    return vtx_options_parse(&options, settings, ignored, sizeof ignored) || !options.user_irqchip;
}
