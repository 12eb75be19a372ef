/* Memory and text functions: the little of a C library that the kernel needs. */
#ifndef TEXT_H
#define TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *destination, const void *source, size_t length);
void *memset(void *destination, int value, size_t length);
size_t strlen(const char *text);
bool text_equal(const char *left, const char *right);

/* Copies up to `size - 1` characters and ends them with a NUL. */
void text_copy(char *destination, size_t size, const char *source);

/* printf of %s, %lu and %lx, always NUL-terminated; returns the length written. */
size_t text_format(char *destination, size_t size, const char *pattern, ...)
    __attribute__((format(printf, 3, 4)));
size_t text_format_list(char *destination, size_t size, const char *pattern, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* Reads a hexadecimal number, with or without 0x; false where there is none. */
bool text_parse_hex(const char *text, uint64_t *value);

#endif
