// SPDX-License-Identifier: BSD-2-Clause
// A switch for each technique: what it is worth is measured by doing without it.
#ifndef RINGSIDE_BT_OPTIONS_H
#define RINGSIDE_BT_OPTIONS_H

#include "include/vcpu.h"

// How privileged instructions are carried out (the paper's 3.3: its rdtsc took 2030, 1254, 216 cycles).
enum bt_emulate {
    BT_IN_TC,   // within the translation cache where that is short, else by a callout
    BT_CALLOUT, // always by leaving for C code
    BT_TRAP,    // always by an instruction that faults, as a trap-and-emulate monitor would
};

enum bt_returns {
    BT_RETURN_CALL,    // host calls and rets, so that the host predicts returns
    BT_RETURN_TABLE,   // an indirect jump through the target table
    BT_RETURN_CALLOUT, // ret leaves for C code
};

// How user code (CPL 3) is run.
enum bt_user {
    BT_USER_TRANSLATED,
    BT_USER_DIRECT, // as it is, in a host process
    BT_USER_AUTO,   // the one or the other, by what is measured (policy.h)
};
#define BT_PROCESSES_MOST 64u

// All 0 but for user: every technique is on.
struct bt_options {
    bool no_chaining;
    bool no_elision;
    bool no_adapt;
    bool log_adapt;
    bool trace_tables; // mmu=trace
    bool checked;
    bool no_seccomp;
    unsigned tu; // most instructions in a TU; 0: as many as there may be
    enum bt_emulate emulate;
    enum bt_returns returns;
    enum bt_user user;
    unsigned processes; // for user code; 0: as many as seem good
};

extern const struct engine_option bt_option_table[];

// "NAME[=VALUE]:..."; 0, or -1 with one line in err.
int bt_options_parse(struct bt_options *options, const char *settings, char *err, size_t err_size);
int bt_options_check(const char *settings, char *err, size_t err_size);

#endif
