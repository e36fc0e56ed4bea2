// SPDX-License-Identifier: BSD-2-Clause
// What the keys after Ctrl-A mean, and that every other key is the guest's.
#include "run/escape.h"

#include "tests/unit/check.h"

#define CTRL_A 1

static enum escape_key after_escape(uint8_t key)
{
    struct escape e = {0};
    CHECK_EQ(escape_take(&e, CTRL_A), ESCAPE_NONE);
    enum escape_key means = escape_take(&e, key);
    CHECK_EQ(escape_take(&e, key), key == CTRL_A ? ESCAPE_NONE : ESCAPE_SEND); // one key, and it is over
    return means;
}

int main(void)
{
    struct escape e = {0};
    unsigned sent = 0, ends = 0, helps = 0, nothing = 0;
    for (unsigned key = 0; key < 256; key++)
        sent += key != CTRL_A && escape_take(&e, (uint8_t)key) == ESCAPE_SEND; // Ctrl-C, Ctrl-D, Ctrl-Z and all
    CHECK_EQ(sent, 255);
    CHECK_EQ(after_escape('x'), ESCAPE_END);
    CHECK_EQ(after_escape('X'), ESCAPE_END);
    CHECK_EQ(after_escape('h'), ESCAPE_SHOW_HELP);
    CHECK_EQ(after_escape('?'), ESCAPE_SHOW_HELP);
    CHECK_EQ(after_escape(CTRL_A), ESCAPE_SEND);
    for (unsigned key = 0; key < 256; key++) {
        enum escape_key means = after_escape((uint8_t)key);
        ends += means == ESCAPE_END;
        helps += means == ESCAPE_SHOW_HELP;
        nothing += means == ESCAPE_NONE;
    }
    CHECK(ends == 3 && helps == 4 && nothing == 256 - 3 - 4 - 1);
    return check_done("escape");
}
