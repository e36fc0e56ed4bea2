// SPDX-License-Identifier: BSD-2-Clause
// Taking a variant's name apart, and putting it together from options. See variant.h.
#include "run/variant.h"

#include <stdio.h>
#include <string.h>

#include "run/engines.h"

const char *variant_settings(const char *name)
{
    const char *colon = strchr(name, ':');
    return colon ? colon + 1 : "";
}

// The setting that a word --ENGINE-NAME[=VALUE] makes, where it is for this engine; else NULL.
static const char *setting_of(const char *word, const struct engine *engine)
{
    size_t length = strlen(engine->name);
    bool its_own = !strncmp(word + 2, engine->name, length) && word[2 + length] == '-';
    return its_own ? word + 2 + length + 1 : NULL;
}

static bool append(struct variant *v, const char *setting)
{
    size_t length = strlen(v->name);
    int added = snprintf(v->name + length, sizeof v->name - length, ":%s", setting);
    return added >= 0 && (size_t)added < sizeof v->name - length;
}

int variant_parse(struct variant *v, const char *name, const struct options *o, char *err, size_t err_size)
{
    char engine_name[VARIANT_NAME_SIZE];
    snprintf(engine_name, sizeof engine_name, "%.*s", (int)strcspn(name, ":"), name);
    v->engine = engine_find(engine_name, err, err_size);
    if (!v->engine)
        return -1;
    bool fits = (size_t)snprintf(v->name, sizeof v->name, "%s", name) < sizeof v->name;
    for (size_t i = 0; i < o->engine_word_count; i++) {
        const char *setting = setting_of(o->engine_words[i], v->engine);
        if (setting)
            fits = append(v, setting) && fits;
    }
    if (!fits) {
        snprintf(err, err_size, "too many settings in '%.40s...'", name);
        return -1;
    }
    if (!strchr(v->name, ':'))
        return 0;
    if (v->engine->check_settings)
        return v->engine->check_settings(variant_settings(v->name), err, err_size);
    snprintf(err, err_size, "engine %s has no settings, but there is '%.60s'", v->engine->name, v->name);
    return -1;
}

int variant_takes_all(const struct variant *v, const struct options *o, char *err, size_t err_size)
{
    for (size_t i = 0; i < o->engine_word_count; i++) {
        if (!setting_of(o->engine_words[i], v->engine)) {
            snprintf(err, err_size, "option %.40s is not for engine %s", o->engine_words[i], v->engine->name);
            return -1;
        }
    }
    return 0;
}
