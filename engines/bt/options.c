// SPDX-License-Identifier: BSD-2-Clause
// The engine's options: their table, and reading them.
#include "engines/bt/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engines/bt/translate.h"

enum option {
    NO_CHAINING,
    NO_ELISION,
    NO_ADAPT,
    LOG_ADAPT,
    CHECKED,
    TU,
    EMULATE,
    RETURNS,
    NO_SECCOMP,
    MMU,
    USER,
    PROCESSES,
    OPTION_COUNT
};

const struct engine_option bt_option_table[] = {
    [NO_CHAINING] = {"no-chaining", NULL, "no chains: every branch between CCFs leaves the translation cache"},
    [NO_ELISION] = {"no-elision", NULL, "a jump to what follows in memory is kept"},
    [NO_ADAPT] = {"no-adapt", NULL, "no adaptation: an instruction that cannot stay IDENT faults every time"},
    [LOG_ADAPT] = {"log-adapt", NULL, "a line on standard error for each adaptation, and for each that is taken back"},
    [CHECKED] = {"checked", NULL, "every access of kernel code is checked by the guest's page tables"},
    [TU] = {"tu", "N", "at most N instructions in a TU, 1 to 12 (default 12)"},
    [EMULATE] = {"emulate", "WAY", "privileged instructions by trap, callout or in-tc (default in-tc)"},
    [RETURNS] = {"returns", "WAY", "returns by call, table or callout (default call)"},
    [NO_SECCOMP] = {"no-seccomp", NULL, "the process keeps all system calls: for debugging the monitor"},
    [MMU] = {"mmu", "WAY",
             "mappings kept true by looking again at flushes (vtlb, default) or by traced page tables (trace)"},
    [USER] = {"user", "WAY",
              "user code directly in host processes (direct), translated, or as measured (auto, default)"},
    [PROCESSES] = {"processes", "N", "address spaces that can have a host process at a time, 1 to 64"},
    [OPTION_COUNT] = {0},
};

// Index of value in the list of ways, or -1.
static int way_of(const char *value, const char *const *ways)
{
    for (int i = 0; ways[i]; i++)
        if (!strcmp(ways[i], value))
            return i;
    return -1;
}

// 1 to most.
static bool set_number(unsigned *n, const char *value, unsigned most)
{
    char *end;
    *n = (unsigned)strtoul(value, &end, 10);
    return value[0] >= '0' && value[0] <= '9' && !*end && *n >= 1 && *n <= most;
}

static bool set_option(struct bt_options *o, enum option option, const char *value)
{
    static const char *const emulations[] = {[BT_IN_TC] = "in-tc", [BT_CALLOUT] = "callout", [BT_TRAP] = "trap", NULL};
    static const char *const returns[] = {
        [BT_RETURN_CALL] = "call", [BT_RETURN_TABLE] = "table", [BT_RETURN_CALLOUT] = "callout", NULL};
    static const char *const mmus[] = {"vtlb", "trace", NULL};
    static const char *const users[] = {
        [BT_USER_TRANSLATED] = "translated", [BT_USER_DIRECT] = "direct", [BT_USER_AUTO] = "auto", NULL};
    int way;
    if (!value != !bt_option_table[option].value)
        return false;
    switch (option) {
    case NO_CHAINING:
        return o->no_chaining = true;
    case NO_ELISION:
        return o->no_elision = true;
    case NO_ADAPT:
        return o->no_adapt = true;
    case LOG_ADAPT:
        return o->log_adapt = true;
    case CHECKED:
        return o->checked = true;
    case NO_SECCOMP:
        return o->no_seccomp = true;
    case TU:
        return set_number(&o->tu, value, TU_MAX_INSNS);
    case PROCESSES:
        return set_number(&o->processes, value, BT_PROCESSES_MOST);
    case EMULATE:
        way = way_of(value, emulations);
        o->emulate = (enum bt_emulate)way;
        return way >= 0;
    case MMU:
        way = way_of(value, mmus);
        o->trace_tables = way == 1;
        return way >= 0;
    case USER:
        way = way_of(value, users);
        o->user = (enum bt_user)way;
        return way >= 0;
    default:
        way = way_of(value, returns);
        o->returns = (enum bt_returns)way;
        return way >= 0;
    }
}

// One "NAME[=VALUE]".
static int parse_one(struct bt_options *o, char *word, char *err, size_t err_size)
{
    size_t length = strcspn(word, "=");
    char *value = word[length] ? word + length + 1 : NULL;
    word[length] = '\0';
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct engine_option *row = &bt_option_table[i];
        if (strcmp(row->name, word))
            continue;
        if (set_option(o, (enum option)i, value))
            return 0;
        snprintf(err, err_size, "bad value in bt's option %s%s%.40s: %s", word, value ? "=" : "", value ? value : "",
                 row->help);
        return -1;
    }
    snprintf(err, err_size, "engine bt has no option '%.40s'", word);
    return -1;
}

int bt_options_parse(struct bt_options *options, const char *settings, char *err, size_t err_size)
{
    *options = (struct bt_options){.user = BT_USER_AUTO};
    char *copy = strdup(settings ? settings : ""), *save = NULL;
    int result = copy ? 0 : -1;
    for (char *word = copy ? strtok_r(copy, ":", &save) : NULL; word && !result; word = strtok_r(NULL, ":", &save))
        result = parse_one(options, word, err, err_size);
    if (!copy)
        snprintf(err, err_size, "no memory for settings");
    free(copy);
    return result;
}

int bt_options_check(const char *settings, char *err, size_t err_size)
{
    struct bt_options options;
    return bt_options_parse(&options, settings, err, err_size);
}
