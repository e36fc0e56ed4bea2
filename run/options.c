// SPDX-License-Identifier: BSD-2-Clause
// The tables of commands and options, and the parser that goes by them.
#include "run/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "run/engines.h"
#include "run/suggest.h"

#define NS_PER_S 1000000000ull
#define MIB (1ull << 20)
#define GIB (1ull << 30)

#define BIT(command) (1u << COMMAND_##command)

enum kind { KIND_FLAG, KIND_TEXT, KIND_NUMBER, KIND_SIZE, KIND_SECONDS, KIND_WORDS };

struct command_row {
    enum command command;
    const char *name;
    const char *names; // what may follow the options, NULL for nothing
    const char *help;
};

static const struct command_row commands[] = {
    {COMMAND_ENGINES, "engines", NULL, "which engines can run here, and if not why"},
    {COMMAND_LIST, "list", NULL, "the images that are there"},
    {COMMAND_RUN, "run", "IMAGE",
     "run one image, its serial line on standard output; IMAGE is a name of `list` or a path"},
    {COMMAND_BENCH, "bench", "[SUITE|NAME ...]", "measure images on all engines, and write a results file"},
    {COMMAND_TRANSLATE, "translate", "IMAGE SYMBOL|ADDRESS",
     "show what the binary translator makes of the code there, and of what it branches to"},
    {COMMAND_COMPARE, "compare", "IMAGE", "run one image on two engines in step, up to the first difference"},
    {COMMAND_MODEL, "model", "RESULTS ...",
     "predict what benchmarks cost under monitors on processors, from the counts in results files"},
};

struct option_row {
    const char *name;
    const char *value; // what stands after the =, NULL for a flag
    unsigned commands; // BIT()s
    enum kind kind;
    size_t offset;
    size_t given_offset; // of a bool that says whether it was given; 0: none
    uint64_t min, max;
    const char *help;
};

#define AT(field) offsetof(struct options, field)
static const struct option_row options[] = {
    {"--help", NULL, ~0u, KIND_FLAG, AT(help), 0, 0, 0, "print this"},
    {"--all", NULL, BIT(LIST), KIND_FLAG, AT(all), 0, 0, 0, "test images too"},
    {"--json", NULL, BIT(ENGINES) | BIT(RUN) | BIT(COMPARE) | BIT(MODEL), KIND_FLAG, AT(json), 0, 0, 0,
     "print one JSON object instead of text"},
    {"--engine", "E", BIT(RUN), KIND_TEXT, AT(engine), 0, 0, 0,
     "the engine to run on (default interp), settings behind colons: bt:no-chaining:tu=4; several: see --switch"},
    {"--switch", "S", BIT(RUN), KIND_SECONDS, AT(switch_ns), 0, 1, 86400 * NS_PER_S,
     "move the running guest from one of --engine=A,B,... to the next every S seconds, fractions allowed (vtx: with "
     "irqchip=user)"},
    {"--ram", "SIZE", BIT(RUN) | BIT(COMPARE), KIND_SIZE, AT(ram), AT(ram_given), 8 * MIB, 64 * GIB,
     "the guest's RAM, a multiple of 2M from 8M to 64G (default 128M; compare: 32M)"},
    {"--timeout", "S", BIT(RUN) | BIT(BENCH) | BIT(COMPARE), KIND_SECONDS, AT(timeout_ns), 0, 1, 86400 * NS_PER_S,
     "end after S seconds, fractions allowed (default 60; bench: of each process, default 120)"},
    {"--append", "CMDLINE", BIT(RUN) | BIT(COMPARE), KIND_TEXT, AT(append), 0, 0, 0,
     "the guest's command line, e.g. 'reps=2 cycles=1000'"},
    {"--initrd", "FILE", BIT(RUN) | BIT(COMPARE), KIND_TEXT, AT(initrd), 0, 0, 0,
     "the initial RAM disk, where the image is a Linux kernel"},
    {"--counters", NULL, BIT(RUN), KIND_FLAG, AT(counters), 0, 0, 0, "print what the engine counted"},
    {"--pmu", NULL, BIT(RUN), KIND_FLAG, AT(pmu), 0, 0, 0, "count core events between the guest's marks (see --json)"},
    {"--dot", NULL, BIT(TRANSLATE), KIND_FLAG, AT(dot), 0, 0, 0, "a Graphviz graph of the chained fragments instead"},
    {"--bt-stats", NULL, BIT(RUN), KIND_FLAG, AT(bt_stats), 0, 0, 0,
     "print what the binary translator did: kinds of translation, expansion, cost, callouts, faults"},
    {"--budget", "N", BIT(RUN) | BIT(COMPARE), KIND_NUMBER, AT(budget), 0, 1, UINT64_MAX,
     "end after N guest instructions, on an engine that counts them"},
    {"--fault", "N:WHERE", BIT(COMPARE), KIND_TEXT, AT(fault), 0, 0, 0,
     "after N steps flip a bit of the second engine's register WHERE, or byte of RAM, to see that it is found"},
    {"--serial-limit", "SIZE", BIT(RUN), KIND_SIZE, AT(serial_limit), 0, 1, 1024 * GIB,
     "end where the guest sends more than this on the serial line (default 64M)"},
    {"--gdb", "WHERE", BIT(RUN), KIND_TEXT, AT(gdb), 0, 0, 0,
     "wait for gdb on this PORT of 127.0.0.1 (0: a free one), at the PATH of a socket (with a /), or on standard input "
     "and output (-); the guest starts stopped, and has no time limit by default"},
    {"--input", "FROM", BIT(RUN), KIND_TEXT, AT(input), 0, 0, 0,
     "what the guest receives on the serial line: tty, what is typed at this terminal, every key but Ctrl-A (Ctrl-A x "
     "ends the run; no time limit by default); -, standard input, as fast as the guest takes it; none (default)"},
    {"--cpu", "N", BIT(RUN) | BIT(BENCH), KIND_NUMBER, AT(cpu), AT(cpu_given), 0, 1023,
     "pin the vCPU to this CPU (run: default not pinned; bench: the last one)"},
    {"--engines", "A,B", BIT(BENCH) | BIT(COMPARE), KIND_TEXT, AT(engines), 0, 0, 0,
     "only these engines, in this order of columns (default all; compare: interp,bt); E:SETTING is a column of its "
     "own"},
    {"--runs", "N", BIT(BENCH), KIND_NUMBER, AT(runs), 0, 1, 1000,
     "processes for each image and engine (default 10, quick 4)"},
    {"--reps", "N", BIT(BENCH), KIND_NUMBER, AT(reps), 0, 1, 1000, "repetitions in each process (default 10, quick 5)"},
    {"--cycles", "N", BIT(BENCH), KIND_NUMBER, AT(cycles), 0, 1, 1ull << 40,
     "TSC cycles that a timed run takes at least (default 2000000, quick 1000000)"},
    {"--quick", NULL, BIT(BENCH), KIND_FLAG, AT(quick), 0, 0, 0, "a first look, within a minute"},
    {"--within", "S", BIT(BENCH), KIND_SECONDS, AT(within_ns), 0, 1, 86400 * NS_PER_S,
     "end the whole run after S seconds; what does not fit is left out and named (default: to the end; quick 60)"},
    {"--seed", "N", BIT(BENCH), KIND_NUMBER, AT(seed), AT(seed_given), 0, UINT32_MAX,
     "of the random order (default: by the clock)"},
    {"--out", "FILE", BIT(BENCH), KIND_TEXT, AT(out), 0, 0, 0,
     "append the results to FILE (default: a new file in results/local)"},
    {"--cpu", "PROFILE", BIT(MODEL), KIND_TEXT, AT(profile), 0, 0, 0,
     "the processor: model/profiles/PROFILE.profile (default p4-672, the paper's)"},
    {"--policy", "POLICY", BIT(MODEL), KIND_WORDS, AT(policies), 0, 0, 0,
     "the monitor: model/policies/POLICY.policy, several by several options (default all that the processor has costs "
     "for)"},
    {"--only", "A,B", BIT(MODEL), KIND_TEXT, AT(only), 0, 0, 0,
     "only these benchmarks of the results, as SUITE, SUITE/NAME or NAME"},
    {"--counts", "FILE", BIT(MODEL), KIND_TEXT, AT(mix), 0, 0, 0,
     "predict for a mix of events out of a file instead; RESULTS may be left out"},
    {"--set", "NAME=VALUE", BIT(MODEL), KIND_WORDS, AT(changes), 0, 0, 0,
     "what if: another count of an event, or another cost of a primitive; counts as assumed"},
    {"--map", "X:LO:HI:N,Y:LO:HI:N", BIT(MODEL), KIND_TEXT, AT(map), 0, 0, 0,
     "the cheapest policy over a grid of N by N values of X and Y, counts or primitives, for one benchmark; N:log: an "
     "axis in equal factors"},
    {"--validate", NULL, BIT(MODEL), KIND_FLAG, AT(validate), 0, 0, 0,
     "all published figures that model/targets names, beside what the model makes of them"},
    {"--list", NULL, BIT(MODEL), KIND_FLAG, AT(list), 0, 0, 0,
     "which processors, policies, events and mixes there are"},
    {"--root", "DIR", BIT(MODEL), KIND_TEXT, AT(root), 0, 0, 0,
     "where the folders model and results/reference lie (default: the source tree that the program lies in)"},
};
enum { OPTION_COUNT = sizeof options / sizeof *options, COMMAND_COUNT = sizeof commands / sizeof *commands };

const char *command_name(enum command command)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (commands[i].command == command)
            return commands[i].name;
    return "";
}

static bool parse_number(const char *text, uint64_t *value, const char **rest)
{
    char *end;
    if (*text < '0' || *text > '9') // strtoull takes signs and blanks
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    *rest = end;
    return errno == 0;
}

bool options_size(const char *text, uint64_t *bytes)
{
    static const char suffixes[] = "KMGT";
    const char *rest;
    if (!parse_number(text, bytes, &rest))
        return false;
    const char *suffix = *rest ? strchr(suffixes, *rest) : NULL;
    if (suffix) {
        unsigned shift = 10 * (unsigned)(suffix - suffixes + 1);
        if (*bytes > UINT64_MAX >> shift)
            return false;
        *bytes <<= shift;
        rest++;
    }
    return *rest == '\0';
}

static bool parse_seconds(const char *text, uint64_t *ns)
{
    char *end;
    if ((*text < '0' || *text > '9') && *text != '.')
        return false;
    double seconds = strtod(text, &end);
    if (*end || !(seconds > 0) || seconds > 1e9)
        return false;
    *ns = (uint64_t)(seconds * NS_PER_S);
    return true;
}

static int add_word(const struct option_row *row, const char *text, struct words *words, char *err, size_t err_size)
{
    if (words->count == WORDS_MAX) {
        snprintf(err, err_size, "more than %d options %s", WORDS_MAX, row->name);
        return -1;
    }
    words->word[words->count++] = text;
    return 0;
}

static int set_value(const struct option_row *row, const char *text, struct options *o, char *err, size_t err_size)
{
    void *field = (char *)o + row->offset;
    const char *rest = "";
    uint64_t value = 0;
    bool ok = true;
    switch (row->kind) {
    case KIND_FLAG:
        *(bool *)field = true;
        return 0;
    case KIND_TEXT:
        *(const char **)field = text;
        return 0;
    case KIND_WORDS:
        return add_word(row, text, field, err, err_size);
    case KIND_NUMBER:
        ok = parse_number(text, &value, &rest) && !*rest;
        break;
    case KIND_SIZE:
        ok = options_size(text, &value);
        break;
    case KIND_SECONDS:
        ok = parse_seconds(text, &value);
        break;
    }
    if (!ok || value < row->min || value > row->max) {
        snprintf(err, err_size, "bad value in '%s=%.40s': %s", row->name, text, row->help);
        return -1;
    }
    *(uint64_t *)field = value;
    if (row->given_offset)
        *(bool *)((char *)o + row->given_offset) = true;
    return 0;
}

static bool applies(const struct option_row *row, enum command command)
{
    return command == COMMAND_NONE ? row->offset == AT(help) : (row->commands & 1u << command) != 0;
}

// ---- The engines' own options ----

static bool takes_engine_options(enum command command)
{
    return command == COMMAND_RUN || command == COMMAND_BENCH || command == COMMAND_TRANSLATE ||
           command == COMMAND_COMPARE;
}

// "--ENGINE-NAME"
static const char *engine_option_name(const struct engine *engine, const struct engine_option *option, char *name,
                                      size_t size)
{
    snprintf(name, size, "--%s-%s", engine->name, option->name);
    return name;
}

static const struct engine_option *engine_option(const char *word, size_t length)
{
    char name[64];
    for (size_t i = 0; i < engine_count; i++)
        for (const struct engine_option *o = engine_table[i]->options; o && o->name; o++)
            if (strlen(engine_option_name(engine_table[i], o, name, sizeof name)) == length &&
                !strncmp(name, word, length))
                return o;
    return NULL;
}

static int add_engine_word(const char *word, const struct engine_option *option, struct options *o, char *err,
                           size_t err_size)
{
    size_t length = strcspn(word, "=");
    if (!option->value != !word[length]) {
        snprintf(err, err_size, option->value ? "option %.*s needs a value: %.*s=%s" : "option %.*s takes no value",
                 (int)length, word, (int)length, word, option->value);
        return -1;
    }
    if (o->engine_word_count == ENGINE_WORDS_MAX) {
        snprintf(err, err_size, "more than %d options of engines", ENGINE_WORDS_MAX);
        return -1;
    }
    o->engine_words[o->engine_word_count++] = word;
    return 0;
}

static void suggest_engine_options(struct suggestion *s, char names[][64], size_t room)
{
    for (size_t i = 0; i < engine_count; i++)
        for (const struct engine_option *o = engine_table[i]->options; o && o->name && room; o++, room--, names++)
            suggest_offer(s, engine_option_name(engine_table[i], o, *names, sizeof *names));
}

void help_row(FILE *to, const char *left, const char *text)
{
    enum { HELP_LEFT = 24, HELP_WIDTH = 100 };
    size_t column = HELP_LEFT;
    fprintf(to, "  %-*s", HELP_LEFT - 2, left);
    if (strlen(left) > HELP_LEFT - 2)
        column = HELP_WIDTH; // a long one has a line of its own
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column + 1 + word > HELP_WIDTH) {
            fprintf(to, "\n%*s", HELP_LEFT, "");
            column = HELP_LEFT;
        }
        fprintf(to, " %.*s", (int)word, text);
        column += 1 + word;
        text += word + strspn(text + word, " ");
    }
    putc('\n', to);
}

static void help_engine_options(FILE *to)
{
    char name[64], left[96];
    for (size_t i = 0; i < engine_count; i++) {
        const struct engine_option *o = engine_table[i]->options;
        if (o)
            fprintf(to, "\nOptions of engine %s:\n", engine_table[i]->name);
        for (; o && o->name; o++) {
            engine_option_name(engine_table[i], o, name, sizeof name);
            snprintf(left, sizeof left, "%s%s%s", name, o->value ? "=" : "", o->value ? o->value : "");
            help_row(to, left, o->help);
        }
    }
}

// ---- Parsing ----

static int unknown_option(const char *word, size_t length, enum command command, char *err, size_t err_size)
{
    char name[64], hint[96];
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    struct suggestion s = suggest_for(name);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (applies(&options[i], command))
            suggest_offer(&s, options[i].name);
    char engine_names[64][64];
    if (takes_engine_options(command))
        suggest_engine_options(&s, engine_names, 64);
    snprintf(err, err_size, "no option '%s'%s%s%s", name, *command_name(command) ? " of " : "", command_name(command),
             suggest_text(&s, hint, sizeof hint));
    return -1;
}

static int parse_option(const char *word, struct options *o, char *err, size_t err_size)
{
    size_t length = strcspn(word, "=");
    const char *value = word[length] ? word + length + 1 : NULL;
    if (!strcmp(word, "-h"))
        return o->help = true, 0;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &options[i];
        if (!applies(row, o->command) || strlen(row->name) != length || strncmp(row->name, word, length))
            continue;
        if (!row->value == !value)
            return set_value(row, value, o, err, err_size);
        snprintf(err, err_size, row->value ? "option %s needs a value: %s=%s" : "option %s takes no value", row->name,
                 row->name, row->value);
        return -1;
    }
    const struct engine_option *option = takes_engine_options(o->command) ? engine_option(word, length) : NULL;
    if (option)
        return add_engine_word(word, option, o, err, err_size);
    return unknown_option(word, length, o->command, err, err_size);
}

static int parse_command(const char *word, struct options *o, char *err, size_t err_size)
{
    struct suggestion s = suggest_for(word);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (!strcmp(commands[i].name, word))
            return o->command = commands[i].command, 0;
        suggest_offer(&s, commands[i].name);
    }
    char hint[96];
    snprintf(err, err_size, "no command '%.40s'%s", word, suggest_text(&s, hint, sizeof hint));
    return -1;
}

static int check_names(const struct options *o, char *err, size_t err_size)
{
    if (o->command == COMMAND_NONE) {
        snprintf(err, err_size, "no command given; `ringside --help` lists them");
        return -1;
    }
    if ((o->command == COMMAND_RUN || o->command == COMMAND_COMPARE) && o->name_count != 1) {
        snprintf(err, err_size, "%s takes one IMAGE, not %zu", command_name(o->command), o->name_count);
        return -1;
    }
    if (o->command == COMMAND_TRANSLATE && o->name_count != 2) {
        snprintf(err, err_size, "translate takes an IMAGE and a SYMBOL or ADDRESS");
        return -1;
    }
    if ((o->command == COMMAND_ENGINES || o->command == COMMAND_LIST) && o->name_count) {
        snprintf(err, err_size, "%s takes no names, but there is '%.40s'", command_name(o->command), o->names[0]);
        return -1;
    }
    if (o->command == COMMAND_MODEL && !o->name_count && !o->mix && !o->list && !o->validate) {
        snprintf(err, err_size, "model takes RESULTS, a file of `bench`, or --counts=FILE, --validate or --list");
        return -1;
    }
    return 0;
}

// An option that would have no effect beside another is refused, not passed over.
static int check_together(const struct options *o, char *err, size_t err_size)
{
    bool asks = o->only || o->profile || o->policies.count, what_if = o->changes.count || o->map || o->mix;
    if (o->list && (o->validate || asks || what_if)) {
        snprintf(err, err_size, "--list names all that there is: no other option but --json and --root");
        return -1;
    }
    if (o->validate && what_if) {
        snprintf(err, err_size, "--validate tests the model as it is: no --set, --map or --counts");
        return -1;
    }
    if (o->mix && o->only) {
        snprintf(err, err_size, "--counts=FILE takes the place of benchmarks: no --only");
        return -1;
    }
    if (o->ram % (2 * MIB)) {
        snprintf(err, err_size, "bad value in '--ram': not a multiple of 2M");
        return -1;
    }
    return 0;
}

int options_parse(int argc, char **argv, struct options *o, char *err, size_t err_size)
{
    *o =
        (struct options){.engine = "interp", .append = "", .input = "none", .ram = 128 * MIB, .serial_limit = 64 * MIB};
    o->names = argv + 1;
    bool only_names = false;
    for (int i = 1; i < argc; i++) {
        int result = 0;
        if (!only_names && !strcmp(argv[i], "--"))
            only_names = true;
        else if (!only_names && argv[i][0] == '-' && argv[i][1])
            result = parse_option(argv[i], o, err, err_size);
        else if (o->command == COMMAND_NONE)
            result = parse_command(argv[i], o, err, err_size);
        else
            o->names[o->name_count++] = argv[i];
        if (result)
            return result;
    }
    return o->help || (!check_names(o, err, err_size) && !check_together(o, err, err_size)) ? 0 : -1;
}

static void help_options(FILE *to, enum command command)
{
    fprintf(to, "\nOptions:\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        char left[64];
        if (!applies(&options[i], command))
            continue;
        snprintf(left, sizeof left, "%s%s%s", options[i].name, options[i].value ? "=" : "",
                 options[i].value ? options[i].value : "");
        help_row(to, left, options[i].help);
    }
}

void options_help(FILE *to, enum command command)
{
    if (command != COMMAND_NONE) {
        for (size_t i = 0; i < COMMAND_COUNT; i++)
            if (commands[i].command == command)
                fprintf(to, "usage: ringside %s [OPTION ...]%s%s\n\n%s\n", commands[i].name,
                        commands[i].names ? " " : "", commands[i].names ? commands[i].names : "", commands[i].help);
        help_options(to, command);
        if (takes_engine_options(command))
            help_engine_options(to);
        return;
    }
    fprintf(to, "usage: ringside COMMAND [OPTION ...] [NAME ...]\n\n"
                "Runs one guest image on several execution engines, and measures what each technique costs.\n\n"
                "Commands (`ringside COMMAND --help` says more):\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        help_row(to, commands[i].name, commands[i].help);
    help_options(to, command);
}
