// SPDX-License-Identifier: BSD-2-Clause
// `ringside model`: which benchmarks, monitors and processor are asked about, and what goes out.
#include <errno.h>
#include <libgen.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run/commands.h"
#include "run/images.h"
#include "run/model_report.h"
#include "run/suggest.h"

static const char default_profile[] = "p4-672"; // the paper's host

struct asked {
    const struct options *o;
    struct model *model;
    struct profile *profile;
    struct policy *policy[MODEL_FILES_MAX];
    size_t policies;
    struct score score;
    json_t *rows; // with --json
    char *err;
    size_t err_size;
};

// ---- Ctrl-C ----

// SIGINT and SIGTERM are blocked meanwhile, and looked for between two rows.
static void block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static bool go_on(void)
{
    sigset_t set;
    sigpending(&set);
    return !sigismember(&set, SIGINT) && !sigismember(&set, SIGTERM);
}

static bool goes_on(void *context)
{
    (void)context;
    return go_on();
}

// What a function of the model has refused, or could not finish because of Ctrl-C.
static enum exit_status bad_file(char *err, size_t err_size)
{
    if (go_on())
        return STATUS_BAD_FILE;
    snprintf(err, err_size, "interrupted");
    return STATUS_INTERRUPTED;
}

// ---- What is asked ----

// The folder above the program that has model/events, as a program lies in build or build/san.
static int find_root(char root[static IMAGE_PATH_MAX], char *err, size_t err_size)
{
    char path[IMAGE_PATH_MAX + 16], self[IMAGE_PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return snprintf(err, err_size, "/proc/self/exe: %s", strerror(errno)), -1;
    self[length] = '\0';
    char *folder = dirname(self);
    for (int up = 0; up < 4; up++, folder = dirname(folder)) {
        snprintf(path, sizeof path, "%s/model/events", folder);
        if (!access(path, R_OK))
            return snprintf(root, IMAGE_PATH_MAX, "%s", folder), 0;
    }
    return snprintf(err, err_size, "no folder `model` above the program: --root=DIR names the folder it is in"), -1;
}

// Whether there is such a file; if not, says which name is near. An unreadable folder is told later.
static bool known(struct asked *a, const char *kind, const char *name)
{
    struct names names;
    char hint[160];
    struct suggestion s = suggest_for(name);
    if (model_names(a->model, kind, &names, a->err, a->err_size))
        return true;
    for (size_t i = 0; i < names.count; i++) {
        if (!strcasecmp(names.name[i], name))
            return true;
        suggest_offer(&s, names.name[i]);
    }
    snprintf(a->err, a->err_size, "no %s '%.60s'%s", kind, name, suggest_text(&s, hint, sizeof hint));
    return false;
}

static bool prices_anything(const struct model *m, const struct prices *prices)
{
    for (size_t i = 0; i < m->events.sheet.count; i++)
        if (prices->event[i].state == VALUE_KNOWN && prices->event[i].number != 0)
            return true;
    return false;
}

// Those asked for, or else all that have a price on this processor. A policy that cannot be read is an error either
// way.
static enum exit_status choose_policies(struct asked *a)
{
    const struct words *words = &a->o->policies;
    struct names names = {0};
    if (!words->count && model_names(a->model, "policy", &names, a->err, a->err_size))
        return STATUS_BAD_FILE;
    for (size_t i = 0; i < words->count; i++)
        if (!known(a, "policy", words->word[i]))
            return STATUS_USAGE;
    for (size_t i = 0; i < words->count + names.count; i++) {
        struct policy *policy =
            model_policy(a->model, words->count ? words->word[i] : names.name[i], a->err, a->err_size);
        const struct prices *prices = policy ? model_prices(a->model, policy, a->profile, a->err, a->err_size) : NULL;
        if (!prices)
            return STATUS_BAD_FILE;
        if (words->count || prices_anything(a->model, prices))
            a->policy[a->policies++] = policy;
    }
    return STATUS_OK;
}

// Whether a name is a count's or a cost's, so that it can be changed.
static bool changeable(struct asked *a, const char *name)
{
    if (events_find(&a->model->events, name) >= 0 || profile_has(a->profile, name))
        return true;
    snprintf(a->err, a->err_size, "'%.60s' is neither an event nor a primitive of %.60s", name, a->profile->name);
    return false;
}

// NAME=VALUE
static int change(struct asked *a, const char *word)
{
    char name[MEASURED_NAME_MAX], *end;
    size_t length = strcspn(word, "=");
    double number = word[length] ? strtod(word + length + 1, &end) : 0;
    if (!length || length >= sizeof name || !word[length] || end == word + length + 1 || *end || !isfinite(number) ||
        number < 0) {
        snprintf(a->err, a->err_size, "bad value in '--set=%.60s': NAME=VALUE, VALUE a number that is not negative",
                 word);
        return -1;
    }
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    return !changeable(a, name) ? -1 : model_change(a->model, name, number, a->err, a->err_size);
}

static enum exit_status choose(struct asked *a)
{
    const char *name = a->o->profile ? a->o->profile : default_profile;
    if (!known(a, "profile", name))
        return STATUS_USAGE;
    a->profile = model_profile(a->model, name, a->err, a->err_size);
    if (!a->profile)
        return STATUS_BAD_FILE;
    for (size_t i = 0; i < a->o->changes.count; i++)
        if (change(a, a->o->changes.word[i]))
            return STATUS_USAGE;
    return choose_policies(a);
}

// Whether --only, a list with commas, has SUITE, NAME or SUITE/NAME.
static bool wanted(const struct options *o, const char *bench)
{
    const char *slash = strchr(bench, '/');
    size_t suite = slash ? (size_t)(slash - bench) : 0;
    if (!o->only)
        return true;
    for (const char *at = o->only; *at; at += strspn(at, ",")) {
        size_t length = strcspn(at, ",");
        bool whole = length == strlen(bench) && !strncmp(at, bench, length);
        bool name = slash && length == strlen(slash + 1) && !strncmp(at, slash + 1, length);
        if (whole || name || (length == suite && !strncmp(at, bench, suite)))
            return true;
        at += length;
    }
    return false;
}

// ---- Rows ----

// Counts an answer's comparisons, shows it, and frees it.
static enum exit_status show(struct asked *a, struct answer *answer,
                             void (*report)(const struct model *m, const struct answer *answer))
{
    int result = 0;
    for (size_t i = 0; !result && i < answer->comparison_count; i++)
        result = score_add(&a->score, &answer->comparison[i]);
    if (a->rows)
        json_array_append_new(a->rows, json_answer(a->model, answer));
    else
        report(a->model, answer);
    answer_free(answer);
    if (result)
        return snprintf(a->err, a->err_size, "no memory"), STATUS_UNAVAILABLE;
    return go_on() ? STATUS_OK : bad_file(a->err, a->err_size);
}

static enum exit_status answer_one(struct asked *a, const char *bench, struct policy *policy)
{
    struct answer *answer = answer_make(a->model, bench, policy, a->profile, a->err, a->err_size);
    if (!answer)
        return bad_file(a->err, a->err_size);
    return show(a, answer, report_answer);
}

static enum exit_status answer_bench(struct asked *a, const char *bench)
{
    enum exit_status status = STATUS_OK;
    if (!a->rows)
        printf("\n%s\n", bench);
    for (size_t i = 0; status == STATUS_OK && i < a->policies; i++)
        status = answer_one(a, bench, a->policy[i]);
    return status;
}

// The i-th benchmark that is asked about, or NULL.
static const char *bench_at(struct asked *a, size_t at)
{
    if (a->o->mix) {
        struct mix *mix = at == 0 ? model_mix_file(a->model, a->o->mix, a->err, a->err_size) : NULL;
        return mix ? mix->bench : NULL;
    }
    const struct measurements *m = &a->model->sources.measurements;
    for (size_t i = 0; i < m->bench_count; i++)
        if (wanted(a->o, m->bench[i]) && at-- == 0)
            return m->bench[i];
    return NULL;
}

static enum exit_status answer_all(struct asked *a)
{
    enum exit_status status = STATUS_OK;
    const char *bench = bench_at(a, 0);
    if (!bench && a->o->mix)
        return STATUS_BAD_FILE;
    if (!bench)
        return snprintf(a->err, a->err_size, "the results have no such benchmark"), STATUS_USAGE;
    if (!a->rows)
        printf("%s: %s\n", a->profile->name, profile_title(a->profile));
    for (size_t i = 0; status == STATUS_OK && (bench = bench_at(a, i)); i++)
        status = answer_bench(a, bench);
    return status;
}

static bool target_wanted(const struct asked *a, const struct sheet_line *target)
{
    const struct words *policies = &a->o->policies;
    bool policy = !policies->count;
    for (size_t i = 0; i < policies->count; i++)
        policy = policy || !strcasecmp(policies->word[i], target_policy(target));
    return policy && wanted(a->o, target_bench(target)) &&
           (!a->o->profile || !strcasecmp(a->o->profile, target_profile(target)));
}

static enum exit_status validate(struct asked *a)
{
    struct sheet *targets = &a->model->targets.sheet;
    enum exit_status status = STATUS_OK;
    if (a->o->profile && !known(a, "profile", a->o->profile))
        return STATUS_USAGE;
    for (size_t i = 0; i < a->o->policies.count; i++)
        if (!known(a, "policy", a->o->policies.word[i]))
            return STATUS_USAGE;
    for (size_t i = 0; status == STATUS_OK && i < targets->count; i++) {
        if (!target_wanted(a, &targets->line[i]))
            continue;
        struct answer *answer = answer_target(a->model, &targets->line[i], a->err, a->err_size);
        status = answer ? show(a, answer, report_comparison) : bad_file(a->err, a->err_size);
    }
    return status;
}

// ---- Ways ----

static void print_json(json_t *object)
{
    json_dumpf(object, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(object);
}

static enum exit_status rows(struct asked *a)
{
    a->rows = a->o->json ? json_array() : NULL;
    enum exit_status status = a->o->validate ? validate(a) : answer_all(a);
    if (a->rows && status == STATUS_OK)
        print_json(json_pack("{s:O, s:o}", "rows", a->rows, "score", json_score(&a->score)));
    else if (status == STATUS_OK)
        report_score(&a->score);
    json_decref(a->rows);
    score_free(&a->score);
    return status;
}

static enum exit_status list(struct asked *a)
{
    if (!a->o->json)
        return report_list(a->model, a->err, a->err_size) ? STATUS_BAD_FILE : STATUS_OK;
    json_t *object = json_list(a->model, a->err, a->err_size);
    if (object)
        print_json(object);
    return object ? STATUS_OK : STATUS_BAD_FILE;
}

static enum exit_status draw_map(struct asked *a)
{
    struct map map;
    const char *bench = bench_at(a, 0);
    if (map_parse(&map, a->o->map, a->err, a->err_size) || !changeable(a, map.x.name) || !changeable(a, map.y.name))
        return STATUS_USAGE;
    if (!bench && a->o->mix)
        return STATUS_BAD_FILE;
    if (!bench || bench_at(a, 1))
        return snprintf(a->err, a->err_size, "a map is of one benchmark: --only=SUITE/NAME or --counts=FILE"),
               STATUS_USAGE;
    int result =
        map_fill(&map, a->model, bench, a->profile, a->policy, a->policies, goes_on, NULL, a->err, a->err_size);
    if (!result && a->o->json)
        print_json(json_map(&map));
    else if (!result)
        report_map(&map);
    map_free(&map);
    return result ? bad_file(a->err, a->err_size) : STATUS_OK;
}

enum exit_status command_model(const struct options *o, char *err, size_t err_size)
{
    char root[IMAGE_PATH_MAX];
    struct asked a = {.o = o, .err = err, .err_size = err_size};
    if (o->root)
        snprintf(root, sizeof root, "%s", o->root);
    else if (find_root(root, err, err_size))
        return STATUS_BAD_FILE;
    block_signals();
    a.model = model_open(root, o->names, o->name_count, err, err_size);
    if (!a.model)
        return bad_file(err, err_size);
    enum exit_status status = o->list ? list(&a) : o->validate ? rows(&a) : choose(&a);
    if (status == STATUS_OK && !o->list && !o->validate)
        status = o->map ? draw_map(&a) : rows(&a);
    model_close(a.model);
    return status;
}
