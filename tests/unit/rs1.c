// SPDX-License-Identifier: BSD-2-Clause
// The parser of the serial line's records: what it keeps, and what a hostile or broken guest can send.
#include "run/records.h"

#include "tests/unit/check.h"

static struct repetition *feed(struct records *r, const char *text)
{
    struct repetition *last = NULL;
    for (; *text; text++) {
        struct repetition *rep = records_byte(r, (uint8_t)*text);
        last = rep ? rep : last;
    }
    return last;
}

static void whole_run(void)
{
    struct records *r = records_create();
    feed(r, "hello\r\nrs1 begin name=crc\nrs1 cold name=crc tsc=123\nrs1 run name=crc n=16\n");
    struct repetition *rep = feed(r, "rs1 warm name=crc n=16 t1=1000 t2=2600 e1=10 e2=26\n");
    CHECK(rep && rep->t1 == 1000 && rep->e2 == 26);
    CHECK(rep && repetition_cost(rep, 16) == 99);
    feed(r, "rs1 warm name=crc n=16 t1=1000 t2=900 e1=10 e2=26\n");
    feed(r, "rs1 warm name=crc_user n=8 t1=1 t2=2\nrs1 value name=crc value=18446744073709551615\n");
    feed(r, "rs1 check name=crc ok=1 what=a = b c\nrs1 check name=crc ok=0\nrs1 skip name=x why=no such=thing here\n");
    feed(r, "rs1 end name=crc status=1");
    CHECK(!r->ended);
    records_finish(r);
    CHECK(r->began && r->ended && r->end_status == 1);
    CHECK_STR(r->error, "");
    CHECK_STR(r->image, "crc");
    CHECK_EQ(r->bench_count, 3);
    CHECK(r->bench[0].has_cold && r->bench[0].cold == 123);
    CHECK(r->bench[0].count == 2 && r->bench[0].n == 16 && r->bench[0].has_empty);
    CHECK(repetition_cost(&r->bench[0].repetitions[1], 16) < 0);
    CHECK_EQ(r->bench[0].value, UINT64_MAX);
    CHECK(!r->bench[1].has_empty && !r->bench[1].has_value);
    CHECK(r->bench[2].skipped);
    CHECK_STR(r->bench[2].why, "no such=thing here");
    CHECK_EQ(r->check_count, 2);
    CHECK_EQ(r->checks_failed, 1);
    CHECK_STR(r->checks[0].what, "a = b c");
    CHECK_EQ(r->text_count, 1);
    CHECK_STR(r->texts[0], "hello");
    records_destroy(r);
}

static void bad_lines(void)
{
    static const char *const lines[] = {
        "rs1 warm\n",
        "rs1 warm name=a n=0 t1=1 t2=2\n",
        "rs1 warm name=a n=1 t1=1\n",
        "rs1 warm name=a n=1 t1=1 t2=-2\n",
        "rs1 warm name=a n=1 t1=1 t2=2 e1=1\n",
        "rs1 warm name=a n=1 t1=1 t2=99999999999999999999\n",
        "rs1 warm n=1 t1=1 t2=2\n",
        "rs1 warm name=a n=1 t1=1 t2=2\nrs1 warm name=a n=2 t1=1 t2=2\n",
        "rs1 cold name=a tsc=\n",
        "rs1 cold name=a tsc=0x10\n",
        "rs1 check name=a ok=2\n",
        "rs1 end name=a\n",
        "rs1 value name=a\n",
        "rs1 x no fields at all\n",
        "rs1 cold a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1\n",
        "rs1 cold name=0123456789012345678901234567890123456789012345678901234567890 tsc=1\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct records *r = records_create();
        feed(r, lines[i]);
        if (!CHECK(r->error[0] != '\0'))
            printf("# accepted: %s", lines[i]);
        records_destroy(r);
    }
}

static void limits(void)
{
    struct records *r = records_create();
    char line[128];
    for (int i = 0; i < 100000; i++)
        records_byte(r, (uint8_t)(i | 0x80)); // one endless line of no text
    feed(r, "\n");
    CHECK_EQ(strlen(r->texts[0]), RECORDS_LINE_MAX - 1);
    CHECK_STR(r->error, "");
    for (int i = 0; i < 3 * RECORDS_TEXTS_MAX; i++)
        feed(r, "rs1 check name=a ok=0\ntext\n");
    CHECK_EQ(r->check_count, 3 * RECORDS_TEXTS_MAX);
    CHECK_EQ(r->text_count, 3 * RECORDS_TEXTS_MAX + 1);
    for (int i = 0; i < RECORDS_REPETITIONS_MAX; i++)
        feed(r, "rs1 warm name=a n=1 t1=1 t2=2\n");
    CHECK_STR(r->error, "");
    CHECK(!feed(r, "rs1 warm name=a n=1 t1=1 t2=2\n"));
    CHECK(strstr(r->error, "repetitions") != NULL);
    r->error[0] = '\0';
    for (int i = 0; i <= RECORDS_NAMES_MAX; i++) {
        snprintf(line, sizeof line, "rs1 cold name=n%d tsc=1\n", i);
        feed(r, line);
    }
    CHECK(strstr(r->error, "names") != NULL);
    CHECK_EQ(r->bench_count, RECORDS_NAMES_MAX);
    records_destroy(r);
}

int main(void)
{
    whole_run();
    bad_lines();
    limits();
    return check_done("rs1");
}
