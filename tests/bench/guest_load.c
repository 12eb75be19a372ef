/*
 * The only process of a guest whose speed is measured: works when it is told to and says how far it
 * came. A line "run MILLISECONDS" on its console orders rounds for that time, by the guest's clock; the
 * answer to order INDEX, counted from 0, is "load INDEX ROUNDS NANOSECONDS LOST", where LOST are
 * hundredths of a second for which the guest could have run and was not let, as Xen tells its kernel. A
 * round makes a process that loads a program and ends, and lets two processes take turns.
 */
#include <err.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* So many that both halves of a round take about as long. */
#define TURNS 40

static int to_partner[2], from_partner[2];

static uint64_t nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t stolen(void)
{
    FILE *file = fopen("/proc/stat", "r");
    uint64_t ticks;

    /* proc(5): user, nice, system, idle, iowait, irq, softirq, steal */
    if (!file || fscanf(file, "cpu %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &ticks) != 1)
        err(1, "/proc/stat");
    fclose(file);
    return ticks;
}

static void make_process(const char *program)
{
    int status = -1;
    const pid_t child = fork();

    if (!child) {
        execl(program, program, "end", (char *)NULL);
        _exit(1);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status)
        err(1, "%s ended with %x", program, status);
}

static void take_turns(void)
{
    char byte = 0;

    for (int turn = 0; turn < TURNS; turn++)
        if (write(to_partner[1], &byte, 1) != 1 || read(from_partner[0], &byte, 1) != 1)
            err(1, "no turn");
}

static void start_partner(void)
{
    char byte;

    if (pipe(to_partner) || pipe(from_partner))
        err(1, "pipe");
    const pid_t partner = fork();

    if (partner < 0)
        err(1, "fork");
    while (!partner)
        if (read(to_partner[0], &byte, 1) != 1 || write(from_partner[1], &byte, 1) != 1)
            _exit(1);
}

int main(int count, char **argument)
{
    uint64_t milliseconds;
    unsigned int index = 0;
    char line[64];

    if (count > 1 && !strcmp(argument[1], "end"))
        return 0;
    if (mkdir("/proc", 0555) || mount("proc", "/proc", "proc", 0, NULL))
        err(1, "/proc");
    start_partner();
    puts("guest ready");
    while (fgets(line, sizeof(line), stdin)) {
        if (sscanf(line, "run %" SCNu64, &milliseconds) != 1)
            continue;
        const uint64_t lost = stolen(), begin = nanoseconds(), end = begin + milliseconds * 1000000;
        uint64_t rounds = 0, now = begin;

        for (; now < end; now = nanoseconds(), rounds++) {
            make_process(argument[0]);
            take_turns();
        }
        printf("load %u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", index++, rounds, now - begin, stolen() - lost);
    }
    err(1, "no console");
}
