#include "panic.h"

#include <stdarg.h>

#include "console.h"
#include "hypercall.h"
#include "text.h"

void panic(const char *pattern, ...)
{
    struct sched_shutdown crash = {.reason = SHUTDOWN_crash};
    char reason[160];
    va_list arguments;

    va_start(arguments, pattern);
    text_format_list(reason, sizeof(reason), pattern, arguments);
    va_end(arguments);
    print("panic: %s", reason);
    for (;;)
        hypercall_sched_op(SCHEDOP_shutdown, &crash);
}
