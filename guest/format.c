// SPDX-License-Identifier: BSD-2-Clause
// printf's conversions, as many as records and messages need.
#include "guest/report.h"

static void put_string(put_fn *put, const char *s)
{
    while (*s)
        put(*s++);
}

static void put_number(put_fn *put, uint64_t value, unsigned base, unsigned width, char fill)
{
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    for (unsigned i = count; i < width; i++)
        put(fill);
    while (count)
        put(digits[--count]);
}

static void put_signed(put_fn *put, int64_t value, unsigned width, char fill)
{
    if (value < 0) {
        put('-');
        width -= width > 0;
        put_number(put, -(uint64_t)value, 10, width, '0');
    } else {
        put_number(put, (uint64_t)value, 10, width, fill);
    }
}

// One conversion, f at the first character after the %. Gives the character after it.
static const char *put_conversion(put_fn *put, const char *f, va_list *args)
{
    char fill = *f == '0' ? '0' : ' ';
    unsigned width = 0;
    bool is_long = false;
    while (*f >= '0' && *f <= '9')
        width = width * 10 + (unsigned)(*f++ - '0');
    while (*f == 'l' || *f == 'z') {
        is_long = true;
        f++;
    }
    switch (*f) {
    case 's':
        put_string(put, va_arg(*args, const char *));
        break;
    case 'c':
        put((char)va_arg(*args, int));
        break;
    case 'd':
        put_signed(put, is_long ? va_arg(*args, int64_t) : va_arg(*args, int), width, fill);
        break;
    case 'u':
        put_number(put, is_long ? va_arg(*args, uint64_t) : va_arg(*args, unsigned), 10, width, fill);
        break;
    case 'x':
        put_number(put, is_long ? va_arg(*args, uint64_t) : va_arg(*args, unsigned), 16, width, fill);
        break;
    default:
        put(*f);
    }
    return f + 1;
}

void format_text(put_fn *put, const char *format, va_list *args)
{
    while (*format) {
        if (*format == '%')
            format = put_conversion(put, format + 1, args);
        else
            put(*format++);
    }
}
