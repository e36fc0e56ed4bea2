// SPDX-License-Identifier: BSD-2-Clause
// Text out, a line a write(), and the ways in which a program ends.
#include "guest/bantam/user/lib.h"
#include "guest/report.h"

#define STDOUT 1
#define LINE_MAX 512
#define STATUS_PANIC 2

static struct {
    char text[LINE_MAX];
    size_t length;
} line;

void console_flush(void)
{
    for (size_t done = 0; done < line.length;) {
        int64_t written = write(STDOUT, line.text + done, line.length - done);
        if (written == -EINTR)
            continue;
        if (written <= 0)
            break; // nobody is there to be told
        done += (size_t)written;
    }
    line.length = 0;
}

static void put_char(char c)
{
    line.text[line.length++] = c;
    if (c == '\n' || line.length == sizeof line.text)
        console_flush();
}

void print(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    format_text(put_char, format, &args);
    va_end(args);
}

_Noreturn void image_exit(int status)
{
    print(RS1_PREFIX "end name=%s status=%d\n", image_name, status);
    _exit(status);
}

_Noreturn void panic(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print("%s: panic: ", image_name);
    format_text(put_char, format, &args);
    print("\n");
    va_end(args);
    image_exit(STATUS_PANIC);
}
