#include "commands.h"

#include "attacks.h"
#include "console.h"
#include "syscalls.h"
#include "text.h"
#include "xenbus.h"

#define COMMAND_SIZE 128

static struct xenbus_watch command_watch = {.path = "data/command"};
static struct xenbus_watch control_watch = {.path = "control/shutdown"};
static char last_sequence[COMMAND_SIZE];

void commands_init(void)
{
    xenbus_watch(&command_watch);
    xenbus_watch(&control_watch);
}

/* Ends the first word of a text and returns what follows it. */
static char *split_word(char *text)
{
    while (*text && *text != ' ')
        text++;
    if (*text)
        *text++ = '\0';
    return text;
}

static void run_command(const char *name, const char *argument, char *answer)
{
    /* Seen by Dom0 only where a system call comes back without doing its work. */
    text_format(answer, ANSWER_SIZE, "%s returned", name);
    if (!system_call_by_name(name, argument, answer) && !attack_by_name(name, answer))
        text_copy(answer, ANSWER_SIZE, "unknown command");
}

/* "7 peek ffffffff80101000": a number chosen by the writer, the command, its argument. */
static void run_pending_command(void)
{
    char sequence[COMMAND_SIZE], answer[ANSWER_SIZE], line[COMMAND_SIZE + ANSWER_SIZE];

    if (!xenbus_read(command_watch.path, sequence, sizeof(sequence)))
        return;
    char *name = split_word(sequence);
    char *argument = split_word(name);

    if (!*name || text_equal(sequence, last_sequence))
        return;
    text_copy(last_sequence, sizeof(last_sequence), sequence);
    print("command: %s %s %s", sequence, name, argument);
    run_command(name, argument, answer);
    text_format(line, sizeof(line), "%s %s", sequence, answer);
    print("answer: %s", line);
    xenbus_write("data/answer", line);
}

static void run_pending_control(void)
{
    char request[COMMAND_SIZE], answer[ANSWER_SIZE];

    if (!xenbus_read(control_watch.path, request, sizeof(request)) || !*request)
        return;
    xenbus_write(control_watch.path, ""); /* the acknowledgement that the protocol asks for */
    print("control: %s", request);
    if (text_equal(request, "poweroff") || text_equal(request, "halt"))
        run_command("shutdown", "", answer);
    else if (text_equal(request, "reboot"))
        run_command("reboot", "", answer);
    else
        text_copy(answer, sizeof(answer), "not supported");
    print("control: %s", answer);
}

void commands_run(void)
{
    if (command_watch.fired) {
        command_watch.fired = false;
        run_pending_command();
    }
    if (control_watch.fired) {
        control_watch.fired = false;
        run_pending_control();
    }
}
