/* The end of the guest where it cannot go on. */
#ifndef PANIC_H
#define PANIC_H

/* Says why on the console and ends the domain as crashed. */
void panic(const char *pattern, ...) __attribute__((noreturn, cold, format(printf, 1, 2)));

#endif
