// SPDX-License-Identifier: BSD-2-Clause
// Everything is read when it is first asked for, and stays until the end.
#include "model/model.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct model *model_open(const char *root, char *const *results, size_t result_count, char *err, size_t err_size)
{
    char path[MODEL_PATH_MAX];
    struct model *m = calloc(1, sizeof *m);
    if (!m) {
        snprintf(err, err_size, "no memory");
        return NULL;
    }
    int wrong = snprintf(m->folder, sizeof m->folder, "%.3000s/model", root) < 0;
    snprintf(path, sizeof path, "%.3000s/results/reference", root);
    wrong = wrong || figures_read(&m->sources.figures, path, err, err_size);
    snprintf(path, sizeof path, "%.3000s/model/events", root);
    wrong = wrong || events_read(&m->events, path, err, err_size);
    snprintf(path, sizeof path, "%.3000s/model/targets", root);
    wrong = wrong || targets_read(&m->targets, path, &m->sources.figures, err, err_size);
    for (size_t i = 0; !wrong && i < result_count; i++)
        wrong = measurements_read(&m->sources.measurements, results[i], err, err_size);
    if (!wrong)
        return m;
    model_close(m);
    return NULL;
}

void model_close(struct model *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < MODEL_FILES_MAX; i++) {
        profile_free(m->profile[i]);
        policy_free(m->policy[i]);
        if (m->mix[i])
            mix_free(m->mix[i]);
        free(m->mix[i]);
    }
    for (size_t i = 0; i < sizeof m->prices / sizeof *m->prices; i++)
        free(m->prices[i]);
    targets_free(&m->targets);
    events_free(&m->events);
    sources_free(&m->sources);
    free(m);
}

// ---- Which there are ----

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static const char *folder_of(const char *kind)
{
    return !strcmp(kind, "policy") ? "policies" : !strcmp(kind, "profile") ? "profiles" : "mixes";
}

int model_names(const struct model *m, const char *kind, struct names *names, char *err, size_t err_size)
{
    char path[MODEL_PATH_MAX + 16];
    names->count = 0;
    snprintf(path, sizeof path, "%s/%s", m->folder, folder_of(kind));
    DIR *folder = opendir(path);
    if (!folder)
        return text_wrong(path, 0, err, err_size, "%s", strerror(errno));
    for (const struct dirent *entry; names->count < MODEL_FILES_MAX && (entry = readdir(folder));) {
        const char *dot = strrchr(entry->d_name, '.');
        size_t length = dot ? (size_t)(dot - entry->d_name) : 0;
        if (length && length < MEASURED_NAME_MAX && !strcmp(dot + 1, kind))
            snprintf(names->name[names->count++], MEASURED_NAME_MAX, "%.*s", (int)length, entry->d_name);
    }
    closedir(folder);
    if (names->count == MODEL_FILES_MAX)
        return text_wrong(path, 0, err, err_size, "%d files or more", MODEL_FILES_MAX);
    qsort(names->name, names->count, sizeof *names->name, by_name);
    return 0;
}

// The name as the file has it: P4-672 is p4-672.
static int resolve(const struct model *m, const char *kind, const char *name, char found[static MEASURED_NAME_MAX],
                   char *err, size_t err_size)
{
    struct names names;
    if (model_names(m, kind, &names, err, err_size))
        return -1;
    for (size_t i = 0; i < names.count; i++)
        if (!strcasecmp(names.name[i], name)) {
            memcpy(found, names.name[i], MEASURED_NAME_MAX);
            return 0;
        }
    snprintf(err, err_size, "no %s '%.100s'", kind, name);
    return -1;
}

// ---- By name ----

struct profile *model_profile(struct model *m, const char *name, char *err, size_t err_size)
{
    char found[MEASURED_NAME_MAX], folder[MODEL_PATH_MAX + 16];
    size_t i = 0;
    if (resolve(m, "profile", name, found, err, err_size))
        return NULL;
    while (i < MODEL_FILES_MAX - 1 && m->profile[i] && strcmp(m->profile[i]->name, found))
        i++; // there are never more than names
    snprintf(folder, sizeof folder, "%s/profiles", m->folder);
    if (!m->profile[i])
        m->profile[i] = profile_load(folder, found, &m->sources, err, err_size);
    return m->profile[i];
}

struct policy *model_policy(struct model *m, const char *name, char *err, size_t err_size)
{
    char found[MEASURED_NAME_MAX], folder[MODEL_PATH_MAX + 16];
    size_t i = 0;
    if (resolve(m, "policy", name, found, err, err_size))
        return NULL;
    while (i < MODEL_FILES_MAX - 1 && m->policy[i] && strcmp(m->policy[i]->name, found))
        i++;
    snprintf(folder, sizeof folder, "%s/policies", m->folder);
    if (!m->policy[i])
        m->policy[i] = policy_load(folder, found, &m->events, &m->sources, err, err_size);
    return m->policy[i];
}

struct mix *model_mix_file(struct model *m, const char *path, char *err, size_t err_size)
{
    size_t i = 0;
    while (i < MODEL_FILES_MAX && m->mix[i] && strcmp(m->mix[i]->sheet.text.path, path))
        i++;
    if (i < MODEL_FILES_MAX && m->mix[i])
        return m->mix[i];
    struct mix *new = i < MODEL_FILES_MAX ? calloc(1, sizeof *new) : NULL;
    if (!new)
        return snprintf(err, err_size, "too many mixes"), NULL;
    if (!mix_read(new, path, &m->events, &m->sources.figures, err, err_size))
        return m->mix[i] = new;
    mix_free(new);
    free(new);
    return NULL;
}

struct mix *model_mix(struct model *m, const char *name, char *err, size_t err_size)
{
    char found[MEASURED_NAME_MAX], path[MODEL_PATH_MAX + MEASURED_NAME_MAX + 16];
    for (size_t i = 0; i < MODEL_FILES_MAX && m->mix[i]; i++)
        if (!strcmp(m->mix[i]->bench, name))
            return m->mix[i];
    if (resolve(m, "mix", name + strlen("mix/"), found, err, err_size))
        return NULL;
    snprintf(path, sizeof path, "%s/mixes/%s.mix", m->folder, found);
    return model_mix_file(m, path, err, err_size);
}

bool model_cites(const struct model *m, const char *bench, const struct figure *figure, char *where, size_t where_size)
{
    const struct sheet_line *line = NULL;
    for (size_t i = 0; i < MODEL_FILES_MAX && m->mix[i]; i++)
        if (!strcmp(m->mix[i]->bench, bench) && (line = sheet_cites(&m->mix[i]->sheet, figure)))
            return snprintf(where, where_size, "%s.mix:%u", bench + strlen("mix/"), line->number), true;
    if ((line = sheet_cites(&m->targets.sheet, figure)))
        snprintf(where, where_size, "targets:%u", line->number);
    return line != NULL;
}

// ---- What is made of them ----

const struct prices *model_prices(struct model *m, struct policy *policy, struct profile *profile, char *err,
                                  size_t err_size)
{
    enum { MAX = sizeof m->prices / sizeof *m->prices };
    size_t i = 0;
    while (i < MAX && m->prices[i] && (m->prices[i]->policy != policy || m->prices[i]->profile != profile))
        i++;
    if (i < MAX && m->prices[i])
        return &m->prices[i]->prices;
    struct model_prices *new = i < MAX ? calloc(1, sizeof *new) : NULL;
    if (!new)
        return snprintf(err, err_size, "too many policies and profiles at a time"), NULL;
    *new = (struct model_prices){.policy = policy, .profile = profile};
    if (policy_price(policy, profile, &new->prices, err, err_size)) {
        free(new);
        return NULL;
    }
    m->prices[i] = new;
    return &new->prices;
}

int model_counts(struct model *m, const char *bench, struct profile *profile, struct counts *counts, char *err,
                 size_t err_size)
{
    int result;
    if (!strncmp(bench, "mix/", 4)) {
        struct mix *mix = model_mix(m, bench, err, err_size);
        result = mix ? mix_count(mix, profile, counts, err, err_size) : -1;
    } else {
        result = events_count(&m->events, &m->sources, bench, counts, err, err_size);
    }
    if (!result)
        events_change(&m->events, &m->sources, counts);
    return result;
}

static void forget(struct model *m)
{
    for (size_t i = 0; i < MODEL_FILES_MAX && m->profile[i]; i++)
        profile_forget(m->profile[i]);
    for (size_t i = 0; i < sizeof m->prices / sizeof *m->prices; i++) {
        free(m->prices[i]);
        m->prices[i] = NULL;
    }
}

int model_change(struct model *m, const char *name, double number, char *err, size_t err_size)
{
    if (!sources_change(&m->sources, name, events_find(&m->events, name) >= 0, number)) {
        snprintf(err, err_size, "more than %d changes, or too long a name: '%.60s'", CHANGES_MAX, name);
        return -1;
    }
    forget(m);
    return 0;
}
