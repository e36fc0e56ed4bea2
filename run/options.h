// SPDX-License-Identifier: BSD-2-Clause
// The command line: one table of commands and one of options, from which parsing and --help both come.
#ifndef RINGSIDE_RUN_OPTIONS_H
#define RINGSIDE_RUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum command {
    COMMAND_NONE,
    COMMAND_ENGINES,
    COMMAND_LIST,
    COMMAND_RUN,
    COMMAND_BENCH,
    COMMAND_TRANSLATE,
    COMMAND_COMPARE,
    COMMAND_MODEL
};

enum { ENGINE_WORDS_MAX = 16, WORDS_MAX = 32 };

// Values of an option that may be given more than once.
struct words {
    const char *word[WORDS_MAX];
    size_t count;
};

struct options {
    enum command command;
    bool help;
    // Values; what is not given has the default that the table says, or 0, or NULL.
    bool all, json, counters, pmu, quick, bt_stats, dot, validate, list;
    const char *engine, *engines, *append, *initrd, *input, *out, *fault, *gdb;
    const char *profile, *only, *mix, *map, *root;
    struct words policies, changes;
    uint64_t ram, serial_limit; // bytes
    bool ram_given;
    uint64_t timeout_ns; // 0: the command's default
    uint64_t within_ns;  // of a whole run of bench; 0: the default
    uint64_t switch_ns;  // 0: none
    uint64_t budget, runs, reps, cycles;
    uint64_t seed;
    bool seed_given;
    uint64_t cpu;
    bool cpu_given;
    const char *engine_words[ENGINE_WORDS_MAX]; // --ENGINE-NAME[=VALUE], as they are
    size_t engine_word_count;
    char **names; // the words that are no options
    size_t name_count;
};

// 0, or -1 with one line in err. words of argv are kept by pointer; names are moved to its front.
int options_parse(int argc, char **argv, struct options *o, char *err, size_t err_size);

void options_help(FILE *to, enum command command);
// A row of --help: what it is about, and behind it the text in lines of at most 100 characters.
void help_row(FILE *to, const char *left, const char *text);
const char *command_name(enum command command);

// SIZE: a number with K, M, G or T after it, in bytes. False where text is no such thing or overflows.
bool options_size(const char *text, uint64_t *bytes);

#endif
