// SPDX-License-Identifier: BSD-2-Clause
// The command line's parser: sizes, ranges, options of the wrong command, and near misses.
#include "run/options.h"

#include "run/exit_status.h"
#include "run/suggest.h"
#include "run/variant.h"
#include "tests/unit/check.h"

static struct options parsed;
static char message[256];

static int parse(const char *a, const char *b, const char *c)
{
    static char *argv[5]; // the names that are parsed point into it
    const char *const words[] = {"ringside", a, b, c, NULL};
    memcpy(argv, words, sizeof argv);
    int argc = 1;
    while (argc < 4 && argv[argc])
        argc++;
    message[0] = '\0';
    return options_parse(argc, argv, &parsed, message, sizeof message);
}

static void sizes(void)
{
    uint64_t v;
    CHECK(options_size("4096", &v) && v == 4096);
    CHECK(options_size("64M", &v) && v == 64ull << 20);
    CHECK(options_size("2T", &v) && v == 2ull << 40);
    CHECK(!options_size("1E", &v));
    CHECK(!options_size("", &v));
    CHECK(!options_size("-5", &v));
    CHECK(!options_size("+5", &v));
    CHECK(!options_size(" 5", &v));
    CHECK(!options_size("M", &v));
    CHECK(!options_size("1MM", &v));
    CHECK(!options_size("99999999999999999999", &v));
    CHECK(!options_size("99999999999999T", &v));
}

static void defaults(void)
{
    CHECK_EQ(parse("run", "crc", NULL), 0);
    CHECK_EQ(parsed.command, COMMAND_RUN);
    CHECK_STR(parsed.engine, "interp");
    CHECK_EQ(parsed.ram, 128 << 20);
    CHECK_EQ(parsed.name_count, 1);
    CHECK_STR(parsed.names[0], "crc");
    CHECK(!parsed.cpu_given && !parsed.json);
}

static void models(void)
{
    CHECK_EQ(parse("model", "--cpu=p4-672", "--validate"), 0);
    CHECK(parsed.validate && !parsed.cpu_given);
    CHECK_STR(parsed.profile, "p4-672"); // elsewhere --cpu is a number
    CHECK_EQ(parse("model", "--policy=a", "results"), 0);
    CHECK(parsed.policies.count == 1 && parsed.changes.count == 0);
    CHECK_STR(parsed.policies.word[0], "a");
    CHECK_EQ(parse("model", "--json", NULL), -1);
    CHECK(strstr(message, "RESULTS") != NULL);
    CHECK_EQ(parse("model", "--validate", "--set=a=1"), -1);
    CHECK_EQ(parse("model", "--validate", NULL), 0);
    CHECK_EQ(parse("model", "--runs=3", "results"), -1);
}

static void values(void)
{
    CHECK_EQ(parse("run", "--timeout=0.5", "crc"), 0);
    CHECK_EQ(parsed.timeout_ns, 500000000);
    CHECK_EQ(parse("run", "--cpu=0", "crc"), 0);
    CHECK(parsed.cpu_given && parsed.cpu == 0);
    CHECK_EQ(parse("bench", "--seed=7", "nano"), 0);
    CHECK(parsed.seed_given && parsed.seed == 7);
    CHECK_EQ(parse("run", "--", "--odd-name"), 0);
    CHECK_STR(parsed.names[0], "--odd-name");
    CHECK_EQ(parse("run", "--help", NULL), 0);
    CHECK(parsed.help);
}

static void refused(void)
{
    const char *const bad[] = {"--ram=0",     "--ram=1",         "--ram=1E",       "--ram=-5",     "--ram=99T",
                               "--ram=9M",    "--ram=",          "--ram",          "--timeout=0",  "--timeout=-1",
                               "--timeout=x", "--timeout=nan",   "--timeout=1e99", "--cpu=-1",     "--cpu=1024",
                               "--json=1",    "--budget=0",      "--runs=2",       "--counters=1", "--jsonx",
                               "-x",          "--serial-limit=0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (!CHECK(parse("run", bad[i], "crc") == -1))
            printf("# accepted: %s\n", bad[i]);
        CHECK(message[0] && !strchr(message, '\n'));
    }
    CHECK_EQ(parse(NULL, NULL, NULL), -1);
    CHECK_EQ(parse("run", NULL, NULL), -1);
    CHECK_EQ(parse("run", "a", "b"), -1);
    CHECK_EQ(parse("list", "a", NULL), -1);
}

static void engine_options(void)
{
    struct variant v;
    CHECK_EQ(parse("run", "--bt-tu=3", "crc"), 0);
    CHECK_EQ(parsed.engine_word_count, 1);
    CHECK_EQ(variant_parse(&v, "bt:no-chaining", &parsed, message, sizeof message), 0);
    CHECK_STR(v.name, "bt:no-chaining:tu=3");
    CHECK_STR(variant_settings(v.name), "no-chaining:tu=3");
    CHECK_EQ(variant_takes_all(&v, &parsed, message, sizeof message), 0);
    CHECK_EQ(variant_parse(&v, "interp", &parsed, message, sizeof message), 0);
    CHECK_STR(v.name, "interp");
    CHECK_STR(variant_settings(v.name), "");
    CHECK_EQ(variant_takes_all(&v, &parsed, message, sizeof message), -1);
    CHECK_EQ(parse("run", "--bt-tu", "crc"), -1);
    CHECK_EQ(parse("run", "--bt-checked=1", "crc"), -1);
    CHECK_EQ(parse("list", "--bt-checked", NULL), -1);
    CHECK_EQ(parse("run", "--bt-chekced", "crc"), -1);
    CHECK(strstr(message, "did you mean '--bt-checked'?"));
    CHECK_EQ(parse("run", "crc", NULL), 0);
    const char *const bad[] = {"interp:x",     "bt:x",          "bt:tu=0",        "bt:tu=13",        "bt:tu=+1",
                               "bt:user=x",    "bt:user",       "bt:processes=0", "bt:processes=65", "bt:tu",
                               "bt:checked=1", "bt:emulate=no", "x:tu=1",         "bt:returns="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!CHECK(variant_parse(&v, bad[i], &parsed, message, sizeof message) == -1))
            printf("# accepted: %s\n", bad[i]);
    char longest[300] = "bt";
    while (strlen(longest) < sizeof longest - 9)
        strcat(longest, ":checked");
    CHECK_EQ(variant_parse(&v, longest, &parsed, message, sizeof message), -1);
}

static void hints(void)
{
    CHECK_EQ(parse("rnu", NULL, NULL), -1);
    CHECK(strstr(message, "did you mean 'run'?"));
    CHECK_EQ(parse("run", "--enigne=interp", "crc"), -1);
    CHECK(strstr(message, "did you mean '--engine'?"));
    CHECK_EQ(parse("run", "--quick", "crc"), -1);
    CHECK(!strstr(message, "--quick'?"));
    struct suggestion s = suggest_for("intrep");
    suggest_offer(&s, "vtx");
    CHECK(!s.nearest);
    suggest_offer(&s, "interp");
    CHECK_STR(s.nearest ? s.nearest : "", "interp");
}

static void statuses(void)
{
    CHECK_STR(exit_status_name(STATUS_TIMEOUT), "timeout");
    for (size_t i = 0; i < exit_status_count; i++)
        for (size_t j = 0; j < i; j++)
            CHECK(exit_status_table[i].status != exit_status_table[j].status);
}

int main(void)
{
    sizes();
    defaults();
    values();
    models();
    refused();
    engine_options();
    hints();
    statuses();
    return check_done("options");
}
