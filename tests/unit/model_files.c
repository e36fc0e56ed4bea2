// SPDX-License-Identifier: BSD-2-Clause
// The model's files when they are wrong: each mistake is told with its file and line, and damage is never a danger.
#include "tests/unit/model_fixture.h"

static struct fixture f;

// Everything that a command may do with a model: all processors, monitors and mixes, and all targets.
static bool use_all(struct model *m)
{
    static const char *const profiles[] = {"old", "new"}, *const policies[] = {"native", "bt", "hw"};
    static const char *const benches[] = {"mix/one", "mix/boot", "nano/fault"};
    for (size_t i = 0; i < m->targets.sheet.count; i++) {
        struct answer *a = answer_target(m, &m->targets.sheet.line[i], f.err, sizeof f.err);
        answer_free(a);
        if (!a)
            return false;
    }
    for (size_t i = 0; i < 2 * 3 * 3; i++) {
        struct profile *profile = model_profile(m, profiles[i % 2], f.err, sizeof f.err);
        struct policy *policy = profile ? model_policy(m, policies[i / 2 % 3], f.err, sizeof f.err) : NULL;
        struct answer *a = policy ? answer_make(m, benches[i / 6], policy, profile, f.err, sizeof f.err) : NULL;
        answer_free(a);
        if (!a)
            return false;
    }
    return true;
}

static bool works(const char *results)
{
    f.err[0] = '\0';
    struct model *m = fixture_open(&f, results);
    bool well = m && use_all(m);
    model_close(m);
    return well;
}

static const char *original(const char *file)
{
    for (size_t i = 0; i < sizeof fixture_files / sizeof *fixture_files; i++)
        if (!strcmp(fixture_files[i].file, file))
            return fixture_files[i].content;
    return "";
}

// With this content a file is refused, in one line that has `part`, and then it is put right again.
static void refused(const char *file, const char *content, const char *part)
{
    fixture_write(&f, file, content);
    bool well = works(NULL);
    if (!CHECK(!well && f.err[0] && !strchr(f.err, '\n')) || !CHECK(strstr(f.err, part) != NULL))
        printf("# %s: '%s' has no '%s'\n", file, f.err, part);
    fixture_write(&f, file, original(file));
}

static void profiles(void)
{
    static const char *const file = "model/profiles/old.profile";
    static const struct {
        const char *line, *part;
    } bad[] = {
        {"a = 1 | measured\n", "old.profile:2: no line of the form `primitive = expression | class | source`"},
        {"a = 1 | measured |\n", "old.profile:2: no line of the form"},
        {"a = 1 | measured | \t\n", "old.profile:2: no line of the form"},
        {"a = 1 | measured | there | twice\n", "old.profile:2: no line of the form"},
        {"a = 1\n", "old.profile:2: no line of the form"},
        {"a\n", "old.profile:2: no line of the form"},
        {"a = 1 | guessed | there\n", "old.profile:2: the class is none of"},
        {"\n# said twice\na = 1 | measured | there\na = 2 | measured | here\n", "old.profile:5: a second line"},
        {"title = another\n", "old.profile:2: a second line"},
        {"9a = 1 | measured | there\n", "old.profile:2: what stands before the = is no name"},
        {" = 1 | measured | there\n", "old.profile:2: what stands before the = is no name"},
        {"a = 1 + | measured | there\n", "old.profile:2: no number, name or parenthesis"},
        {"a = b | measured | there\n", "old.profile:2: no primitive 'b'"},
        {"a = a + 1 | measured | there\n", "old.profile:2: needs itself"},
        {"a = b | measured | x\nb = c | measured | x\nc = a | measured | x\n", "needs itself"},
        {"a = 1 / (2 - 2) | measured | there\n", "old.profile:2: divides by 0"},
        {"a = ref(paper.nano/cal.native) | published | there\n", "old.profile:2: no published figure 'paper.nano/cal"},
        {"a = reff(x) | published | there\n", "old.profile:2: no function 'reff'"},
        {"a = measured(native) | measured | there\n", "old.profile:2: no ENGINE.SUITE/BENCH"},
        {"a = 2308 | published | there\n",
         "old.profile:2: 2308 is a published figure: write ref(paper.nano/call.software)"},
        {"a = b + 1093 | fitted | x\nb = 2 | assumed | x\n", "write ref(paper.nano/fault.native)"},
        {"machine = mine\n", "machine can only be `results`"},
        {"base = old\n", "based on more than 8 profiles"},
        {"base = ../profiles/new\n", "no profile can have the name"},
        {"base = nothing\n", "nothing.profile: No such file"},
        {"a = 1 | measured | caf\xc3\xa9\n", "old.profile:2: byte 0xc3 is not plain text"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char content[400];
        snprintf(content, sizeof content, "title = an old one\n%s", bad[i].line);
        refused(file, content, bad[i].part);
    }
    refused(file, "", "no line `title = ...`");
    // 41 lines that need one another, one after the other; one by one they would be well.
    char chain[4000] = "title = x\nv0 = v1 | assumed | x\n";
    for (int i = 1; i < 60; i++)
        snprintf(chain + strlen(chain), sizeof chain - strlen(chain), "v%d = v%d | assumed | x\n", i, i + 1);
    strcat(chain, "v60 = 1 | assumed | x\n");
    refused(file, chain, "too many lines that need one another");
    // What is measured or assumed may be the same number by chance, and two digits are everybody's.
    fixture_write(&f, file,
                  "title = x\nclock_mhz = 1000 | assumed | x\ncall_native = 2308 | assumed | x\n"
                  "switch = 100 | published | x\nfault_native = 1093 | measured | x\n");
    if (!CHECK(works(NULL)))
        printf("# %s\n", f.err);
    fixture_write(&f, file, original(file));
}

static void others(void)
{
    refused("model/policies/bt.policy", "title = x\ncall = 1 |\n",
            "bt.policy:2: no line of the form `event = expression | source`");
    refused("model/policies/bt.policy", "title = x\ncall = 1 | a | b\n", "bt.policy:2: no line of the form");
    refused("model/policies/bt.policy", "title = x\ncall = cost(nothing) | x\n", "bt.policy:2: no event 'nothing'");
    refused("model/policies/bt.policy", "title = x\ncall = cost(fault) | x\nfault = cost(call) | x\n", "needs itself");
    refused("model/policies/bt.policy", "title = x\ncall = 2308 | x\n", "write ref(paper.nano/call.software)");
    refused("model/policies/bt.policy", "call = 1 | x\n", "no line `title = ...`");
    refused("model/policies/bt.policy", "title = x\nbase = hw\n", "based on more than 8 policies");
    refused("model/events", "call = syscall | interp | x\n", "events:1: no counter 'syscall'");
    refused("model/events", "call = counted(syscalls) | interp | x\n", "events:1: no counted(ENGINE.COUNTER)");
    refused("model/events", "call = syscalls | interp\n",
            "events:1: no line of the form `event = expression | engines | meaning`");
    refused("model/targets", "paper.nano/x.y = cycles | mix/one | bt | old | x\n",
            "targets:1: no published figure 'paper.nano/x.y'");
    refused("model/targets", "paper.nano/call.software = part(x) | mix/one | bt | old | x\n",
            "targets:1: no event 'x'");
    refused("model/targets", "paper.nano/call.software = cycles | mix/two | bt | old | x\n", "no mix 'two'");
    refused("model/targets", "paper.nano/call.software = cycles | mix/one | bs | old | x\n", "no policy 'bs'");
    refused("model/targets", "paper.nano/call.software = cycles | mix/one | bt | olf | x\n", "no profile 'olf'");
    refused("model/targets", "paper.nano/call.software = 2308 + 0 * cycles | mix/one | bt | old | x\n",
            "targets:1: 2308 is a published figure: write ref(paper.nano/call.software)");
    refused("model/mixes/one.mix", "calls = 1 | one\n", "one.mix:1: no event 'calls'");
    refused("model/mixes/one.mix", "call = 1 / 0 | one\n", "one.mix:1: divides by 0");
    refused("results/reference/paper.csv", "nano,call,100\n",
            "paper.csv:1: no comment above the first row names its columns");
    refused("results/reference/paper.csv", "# a,b\nx,1\nx,2\n", "paper.csv:3: a second paper.x.b");
    refused("results/reference/paper.csv", "# a,b\nx,y\n", "paper.csv:2: a row without a number");
    refused("results/reference/paper.csv", "# a,b\n1,2\n", "paper.csv:2: a row without a name");
}

static void results(void)
{
    static const struct {
        const char *content, *part;
    } bad[] = {
        {"", "holds no run"},
        {"{\"type\":\"sample\"}\n{}\n", ":1: a record before the first `run` record"},
        {"[]\n{}\n", ":1: a record without a type"},
        {"{\"type\":\"run\"}\nnot JSON\n{}\n", ":2: not JSON"},
        {"{\"type\":\"run\"}\n{\"type\":\"engine\"}\n{}\n", ":2: an engine without a name"},
        {"{\"type\":\"run\"}\n{\"type\":\"sample\",\"n\":-1}\n{}\n", ":2: n is no number of iterations"},
        {"{\"type\":\"run\"}\n{\"type\":\"sample\",\"n\":1}\n{}\n", ":2: a record without the names"},
        {"{\"type\":\"run\"}\n{\"type\":\"sample\",\"n\":1,\"suite\":\"a\\u001bb\",\"bench\":\"b\",\"engine\":\"c\"}\n{"
         "}\n",
         ":2: a record without the names"},
        {"{\"type\":\"run\"}\n{\"type\":\"sample\",\"n\":1,\"suite\":\"a\",\"bench\":\"b\",\"engine\":\"c\",\"t1\":[1]}"
         "\n{}\n",
         ":2: t1 and t2 differ in length"},
        {"{\"type\":\"run\"}\n{\"type\":\"sample\",\"n\":1,\"suite\":\"a\",\"bench\":\"b\",\"engine\":\"c\",\"t1\":[-"
         "1e308],"
         "\"t2\":[1e308]}\n{}\n",
         ":2: a figure is too large"},
    };
    char path[160];
    fixture_write(&f, "bad.jsonl", "");
    snprintf(path, sizeof path, "%s", f.path);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fixture_write(&f, "bad.jsonl", bad[i].content);
        if (!CHECK(!works(path)) || !CHECK(strstr(f.err, bad[i].part) != NULL))
            printf("# '%s' has no '%s'\n", f.err, bad[i].part);
    }
    unlink(path);
    CHECK(!works("/no/such/file") && strstr(f.err, "No such file"));
    CHECK(!works("/tmp") && strstr(f.err, "is not a regular file"));
}

// Each file cut anywhere, and with bytes changed at random: any answer, in one line, but a crash.
static void damaged(void)
{
    unsigned refusals = 0, lines = 0;
    srandom(1974);
    for (size_t i = 0; i < sizeof fixture_files / sizeof *fixture_files; i++) {
        const char *file = fixture_files[i].file, *whole = fixture_files[i].content;
        size_t length = strlen(whole);
        for (size_t round = 0; round < 2 * length; round++) {
            char content[2048];
            snprintf(content, sizeof content, "%s", whole);
            if (round < length)
                content[round] = '\0';
            for (int k = 0; round >= length && k < 3; k++)
                content[(size_t)random() % length] = (char)(random() % 4 ? 32 + random() % 95 : 1 + random() % 255);
            fixture_write(&f, file, content);
            if (!works(NULL)) {
                refusals++;
                lines += f.err[0] != '\0' && !strchr(f.err, '\n');
            }
        }
        fixture_write(&f, file, whole);
    }
    CHECK(refusals > 500);
    CHECK_EQ(lines, refusals);
}

int main(void)
{
    if (!fixture_make(&f))
        return check_done("model_files");
    if (!CHECK(works(NULL)))
        printf("# %s\n", f.err);
    profiles();
    others();
    results();
    damaged();
    CHECK(works(NULL)); // all is put right again
    fixture_remove(&f);
    return check_done("model_files");
}
