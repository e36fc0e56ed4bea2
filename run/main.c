// SPDX-License-Identifier: BSD-2-Clause
// The program: reads the command line, hands over to a command, and turns what it says into one line and a status.
#include <stdio.h>

#include "include/events.h"
#include "include/vcpu.h"
#include "run/commands.h"
#include "run/engines.h"
#include "run/exit_status.h"
#include "run/options.h"

static void print_engines(void)
{
    printf("\nEngines:\n");
    for (size_t i = 0; i < engine_count; i++)
        help_row(stdout, engine_table[i]->name, engine_table[i]->summary);
    help_row(stdout, NATIVE_NAME, NATIVE_SUMMARY);
}

static void print_events(void)
{
    printf("\nEvents (an engine counts those that it can tell apart; `engines --json` lists them):\n");
    for (int i = 0; i < EV_COUNT; i++)
        help_row(stdout, event_table[i].name, event_table[i].meaning);
}

static void print_help(enum command command)
{
    options_help(stdout, command);
    if (command != COMMAND_LIST && command != COMMAND_MODEL)
        print_engines();
    if (command == COMMAND_RUN || command == COMMAND_BENCH)
        print_events();
    printf("\nExit status:\n");
    for (size_t i = 0; i < exit_status_count; i++)
        printf("  %-4d %-17s %s\n", exit_status_table[i].status, exit_status_table[i].name,
               exit_status_table[i].meaning);
}

static enum exit_status run_command(const struct options *o, char *err, size_t err_size)
{
    switch (o->command) {
    case COMMAND_ENGINES:
        return command_engines(o, err, err_size);
    case COMMAND_LIST:
        return command_list(o, err, err_size);
    case COMMAND_RUN:
        return command_run(o, err, err_size);
    case COMMAND_BENCH:
        return command_bench(o, err, err_size);
    case COMMAND_TRANSLATE:
        return command_translate(o, err, err_size);
    case COMMAND_COMPARE:
        return command_compare(o, err, err_size);
    case COMMAND_MODEL:
        return command_model(o, err, err_size);
    case COMMAND_NONE:
        break;
    }
    return STATUS_USAGE; // options_parse lets no such thing through
}

// Names on the command line can hold anything; what we say of them is one line of plain text.
static void print_error(char *line)
{
    for (char *c = line; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    fprintf(stderr, "ringside: %s\n", line);
}

int main(int argc, char **argv)
{
    region_fix_layout(argv);
    struct options options;
    char err[1024] = "";
    enum exit_status status = STATUS_OK;
    if (options_parse(argc, argv, &options, err, sizeof err))
        status = STATUS_USAGE;
    else if (options.help)
        print_help(options.command);
    else
        status = run_command(&options, err, sizeof err);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "ringside: cannot write to standard output\n");
        return STATUS_UNAVAILABLE;
    }
    if (status != STATUS_OK && err[0])
        print_error(err);
    return (int)status;
}
