// SPDX-License-Identifier: BSD-2-Clause
// The table of exit statuses. docs/cli.md repeats it; tests/cli checks that the two agree.
#include "run/exit_status.h"

const struct exit_status_info exit_status_table[] = {
    {STATUS_OK, "ok", "all well"},
    {STATUS_GUEST_FAILED, "guest-failed", "run: the guest reported a failure; bench: at least one sample failed"},
    {STATUS_USAGE, "usage", "the command line is wrong"},
    {STATUS_UNAVAILABLE, "unavailable", "the engine, or something of the host's (RAM, a CPU, a file), cannot be had"},
    {STATUS_BAD_IMAGE, "bad-image", "the image is missing, or not one that can be loaded"},
    {STATUS_TIMEOUT, "timeout", "the time of --timeout or the instructions of --budget were used up"},
    {STATUS_SHUTDOWN, "shutdown", "the guest shut the CPU down (triple fault)"},
    {STATUS_FLOOD, "flood", "the guest sent more than --serial-limit on the serial line"},
    {STATUS_ENGINE_ERROR, "engine-error", "the engine could not go on"},
    {STATUS_HALTED, "halted", "the guest halted with nothing that could wake it"},
    {STATUS_DIFFERENT, "different", "compare: the two engines have come to differ"},
    {STATUS_BAD_FILE, "bad-file", "model: a file of the model, or a results file, is missing or wrong"},
    {STATUS_UNSUPPORTED, "unsupported",
     "the guest did what a software back end of /dev/kvm cannot; bench: a row that says so"},
    {STATUS_INTERRUPTED, "interrupted",
     "ended by Ctrl-C, Ctrl-A x or SIGTERM (what was measured is kept), or by the debugger"},
};
const size_t exit_status_count = sizeof exit_status_table / sizeof *exit_status_table;

const char *exit_status_name(enum exit_status status)
{
    for (size_t i = 0; i < exit_status_count; i++)
        if (exit_status_table[i].status == status)
            return exit_status_table[i].name;
    return "unknown";
}
