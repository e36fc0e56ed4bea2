// SPDX-License-Identifier: BSD-2-Clause
// A small model of its own in a folder that goes away: two processors, three monitors, a handful of figures.
#ifndef RINGSIDE_TESTS_UNIT_MODEL_FIXTURE_H
#define RINGSIDE_TESTS_UNIT_MODEL_FIXTURE_H

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/answer.h"
#include "model/map.h"
#include "tests/unit/check.h"

struct fixture {
    char root[64], path[160], err[512];
};

static const char *const fixture_folders[] = {"results",        "results/reference", "model",
                                              "model/profiles", "model/policies",    "model/mixes"};

static const struct {
    const char *file, *content;
} fixture_files[] = {
    {"results/reference/paper.csv", "# Of a paper. group,benchmark,unit,native,software,note\n"
                                    "nano,call,cycles,100,2308,8 of them\n"
                                    "nano,fault,cycles,1093,3927,\n"
                                    "micro,forks,seconds,2.0,9.0,\n"
                                    "# the end, not columns\n"},
    {"results/reference/boot.csv", "# made of: implied_count = software_seconds\n"
                                   "# event,software_seconds,hardware_seconds,implied_count\n"
                                   "call,0.50,0,1.09e6 as drawn\n"},
    {"model/events", "call = syscalls | interp, bt | a system call\n"
                     "fault = true_faults | interp | a page fault\n"
                     "trace = max(traced_writes - counted(bt.traced_writes), 0) | bt:mmu=trace | a traced write\n"},
    {"model/targets",
     "paper.nano/call.software = cycles | mix/one | bt | old | one call\n"
     "paper.micro/forks.software = cycles * 1000000 / (clock_mhz * 1000000) | micro/forks | bt | old | s\n"
     "boot.call.hardware_seconds = part(call) - native(call) | mix/one | bt | old | nothing\n"
     "boot.call.software_seconds = cycles | mix/boot | bt | old | its own count\n"},
    {"model/profiles/old.profile", "title = an old one\n"
                                   "clock_mhz = 1000 | assumed | nowhere\n"
                                   "call_native = ref(paper.nano/call.native) | published | p. 1\n"
                                   "switch = ref(paper.nano/call.software) - call_native | fitted | p. 2\n"
                                   "fault_native = 1000 | measured | by hand\n"},
    {"model/profiles/new.profile", "title = a new one\n"
                                   "base = old\n"
                                   "machine = results\n"
                                   "fault_native = measured(native.nano/fault) | measured | the results\n"},
    {"model/policies/native.policy", "title = none\n"
                                     "call = call_native | as it is\n"
                                     "fault = fault_native | as it is\n"
                                     "trace = 0 | none\n"},
    {"model/policies/bt.policy", "title = translator\n"
                                 "engine = bt\n"
                                 "twice = 2 * fault_native | an auxiliary\n"
                                 "call = call_native + switch | both\n"
                                 "fault = twice + cost(call) | a call, too\n"},
    {"model/policies/hw.policy", "title = hardware\n"
                                 "base = bt\n"
                                 "engine = vtx\n"
                                 "call = call_native | no exit\n"
                                 "trace = vm_exit | what old does not have\n"},
    {"model/mixes/one.mix", "call = 1 | one\n"},
    {"model/mixes/boot.mix", "call = ref(boot.call.implied_count) | as drawn\n"},
};

static inline const char *fixture_path(struct fixture *f, const char *file)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->root, file);
    return f->path;
}

static inline void fixture_write(struct fixture *f, const char *file, const char *content)
{
    FILE *to = fopen(fixture_path(f, file), "we");
    if (CHECK(to != NULL)) {
        fputs(content, to);
        fclose(to);
    }
}

static inline bool fixture_make(struct fixture *f)
{
    snprintf(f->root, sizeof f->root, "/tmp/ringside-model-XXXXXX");
    f->err[0] = '\0';
    if (!CHECK(mkdtemp(f->root) != NULL))
        return false;
    for (size_t i = 0; i < sizeof fixture_folders / sizeof *fixture_folders; i++)
        mkdir(fixture_path(f, fixture_folders[i]), 0700);
    for (size_t i = 0; i < sizeof fixture_files / sizeof *fixture_files; i++)
        fixture_write(f, fixture_files[i].file, fixture_files[i].content);
    return true;
}

// Files that a test has added are its own affair.
static inline void fixture_remove(struct fixture *f)
{
    for (size_t i = 0; i < sizeof fixture_files / sizeof *fixture_files; i++)
        unlink(fixture_path(f, fixture_files[i].file));
    for (size_t i = sizeof fixture_folders / sizeof *fixture_folders; i-- > 0;)
        rmdir(fixture_path(f, fixture_folders[i]));
    CHECK_EQ(rmdir(f->root), 0);
}

static inline struct model *fixture_open(struct fixture *f, const char *results)
{
    char *list[] = {(char *)results};
    return model_open(f->root, list, results != NULL, f->err, sizeof f->err);
}

#endif
