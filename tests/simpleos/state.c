#include "state.h"

#include <stdarg.h>

#include "console.h"
#include "text.h"
#include "xenbus.h"

void state_set(const char *pattern, ...)
{
    char state[64];
    va_list arguments;

    va_start(arguments, pattern);
    text_format_list(state, sizeof(state), pattern, arguments);
    va_end(arguments);
    print("state: %s", state);
    xenbus_write("data/state", state);
}
