#include "text.h"

void *memcpy(void *destination, const void *source, size_t length)
{
    char *to = destination;
    const char *from = source;

    while (length--)
        *to++ = *from++;
    return destination;
}

void *memset(void *destination, int value, size_t length)
{
    char *to = destination;

    while (length--)
        *to++ = (char)value;
    return destination;
}

size_t strlen(const char *text)
{
    size_t length = 0;

    while (text[length])
        length++;
    return length;
}

bool text_equal(const char *left, const char *right)
{
    while (*left && *left == *right) {
        left++;
        right++;
    }
    return *left == *right;
}

void text_copy(char *destination, size_t size, const char *source)
{
    text_format(destination, size, "%s", source);
}

static size_t append(char *destination, size_t size, size_t length, char character)
{
    if (length + 1 < size)
        destination[length++] = character;
    return length;
}

static size_t append_number(char *destination, size_t size, size_t length, uint64_t value,
                            unsigned base)
{
    char digits[20];
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (count)
        length = append(destination, size, length, digits[--count]);
    return length;
}

size_t text_format_list(char *destination, size_t size, const char *pattern, va_list arguments)
{
    size_t length = 0;

    for (; *pattern; pattern++) {
        if (*pattern != '%') {
            length = append(destination, size, length, *pattern);
        } else if (*++pattern == 's') {
            for (const char *text = va_arg(arguments, const char *); *text; text++)
                length = append(destination, size, length, *text);
        } else {
            pattern++; /* the l of %lu and %lx */
            length = append_number(destination, size, length, va_arg(arguments, uint64_t),
                                   *pattern == 'x' ? 16 : 10);
        }
    }
    destination[length] = '\0';
    return length;
}

size_t text_format(char *destination, size_t size, const char *pattern, ...)
{
    va_list arguments;

    va_start(arguments, pattern);
    size_t length = text_format_list(destination, size, pattern, arguments);
    va_end(arguments);
    return length;
}

bool text_parse_hex(const char *text, uint64_t *value)
{
    if (text[0] == '0' && text[1] == 'x')
        text += 2;
    if (!*text)
        return false;
    *value = 0;
    for (; *text; text++) {
        if (*text >= '0' && *text <= '9')
            *value = *value << 4 | (uint64_t)(*text - '0');
        else if (*text >= 'a' && *text <= 'f')
            *value = *value << 4 | (uint64_t)(*text - 'a' + 10);
        else
            return false;
    }
    return true;
}
