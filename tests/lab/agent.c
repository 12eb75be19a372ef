/*
 * The lab's process 1 in Dom0: starts and ends jobs for the host.
 *
 *   agent TTY SHARE
 *
 * Requests come as lines on TTY and are answered there; everything of any size
 * goes through files in SHARE/jobs, which the host shares by 9p:
 *
 *   host   run N            SHARE/jobs/N.cmd is the command for /bin/sh -c,
 *                           SHARE/jobs/N.in its standard input, if it exists
 *   agent  started N PID    output grows in SHARE/jobs/N.out and N.err
 *   host   signal N SIGNAL  to the job's whole process group
 *   agent  exited N STATUS  or: killed N SIGNAL
 *   agent  failed N ERRNO   the job could not be started
 *
 * Each job leads a session of its own. Jobs run side by side. Orphans of jobs
 * (daemons, above all) come to process 1 and are reaped here.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

struct job {
	struct job *next;
	unsigned long number;
	pid_t pid;
};

static struct job *jobs;
static const char *share;
static int tty;

static void say(const char *format, ...)
{
	char line[80];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);

	for (int sent = 0; sent < length;) {
		ssize_t n = write(tty, line + sent, length - sent);
		if (n < 0 && errno != EINTR)
			return;
		if (n > 0)
			sent += n;
	}
}

static int open_job_file(unsigned long number, const char *suffix, int flags)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/jobs/%lu.%s", share, number, suffix);
	return open(path, flags | O_CLOEXEC, 0644);
}

/* The whole command file as a string; NULL with errno set when that fails. */
static char *read_command(unsigned long number)
{
	struct stat status;
	char *command = NULL;
	int file = open_job_file(number, "cmd", O_RDONLY);
	if (file < 0)
		return NULL;
	if (fstat(file, &status) == 0)
		command = malloc(status.st_size + 1);
	if (command) {
		ssize_t length = 0;
		ssize_t n;
		while (length < status.st_size &&
		       (n = read(file, command + length,
				 status.st_size - length)) > 0)
			length += n;
		command[length] = '\0';
	}
	close(file);
	return command;
}

static void become_job(unsigned long number, const char *command)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();

	int in = open_job_file(number, "in", O_RDONLY);
	if (in < 0)
		in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	/* Appending: what several processes of one job write never overlaps. */
	int flags = O_WRONLY | O_CREAT | O_APPEND;
	int out = open_job_file(number, "out", flags);
	int err = open_job_file(number, "err", flags);
	if (in < 0 || out < 0 || err < 0)
		_exit(126);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static void start_job(unsigned long number)
{
	char *command = read_command(number);
	struct job *job = malloc(sizeof(*job));
	pid_t pid = -1;
	if (command && job)
		pid = fork();
	if (pid == 0)
		become_job(number, command);
	int error = errno;
	free(command);
	if (pid < 0) {
		free(job);
		say("failed %lu %d\n", number, error);
		return;
	}
	*job = (struct job){ .next = jobs, .number = number, .pid = pid };
	jobs = job;
	say("started %lu %d\n", number, (int)pid);
}

/* A job leaves the list when it is reaped, so its process id is still its own. */
static void signal_job(unsigned long number, int signal)
{
	for (struct job *job = jobs; job; job = job->next) {
		if (job->number != number)
			continue;
		/* Before its setsid() the job is not a group leader yet. */
		if (kill(-job->pid, signal) < 0)
			kill(job->pid, signal);
	}
}

static void end_job(pid_t pid, int status)
{
	for (struct job **link = &jobs; *link; link = &(*link)->next) {
		struct job *job = *link;
		if (job->pid != pid)
			continue;
		if (WIFSIGNALED(status))
			say("killed %lu %d\n", job->number, WTERMSIG(status));
		else
			say("exited %lu %d\n", job->number, WEXITSTATUS(status));
		*link = job->next;
		free(job);
		return;
	}
}

static void obey(const char *line)
{
	unsigned long number;
	int signal;
	if (sscanf(line, "run %lu", &number) == 1)
		start_job(number);
	else if (sscanf(line, "signal %lu %d", &number, &signal) == 2)
		signal_job(number, signal);
}

static void read_requests(void)
{
	static char line[80];
	static size_t used;
	char bytes[256];
	ssize_t n = read(tty, bytes, sizeof(bytes));
	for (ssize_t i = 0; i < n; i++) {
		if (bytes[i] == '\n') {
			line[used] = '\0';
			used = 0;
			obey(line);
		} else if (used < sizeof(line) - 1) {
			line[used++] = bytes[i];
		}
	}
}

static int reap_on_signal(void)
{
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void reap(int signals)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;
	while (read(signals, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		end_job(pid, status);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: agent TTY SHARE\n");
		return 2;
	}
	share = argv[2];
	tty = open(argv[1], O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty < 0) {
		perror(argv[1]);
		return 1;
	}
	struct termios raw;
	tcgetattr(tty, &raw);
	cfmakeraw(&raw);
	cfsetspeed(&raw, B115200);
	tcsetattr(tty, TCSAFLUSH, &raw);

	int signals = reap_on_signal();
	/* The line feed ends whatever the port carried before. */
	say("\nready\n");
	for (;;) {
		struct pollfd wanted[] = {
			{ .fd = tty, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
		};
		if (poll(wanted, 2, -1) < 0)
			continue;
		if (wanted[0].revents)
			read_requests();
		if (wanted[1].revents)
			reap(signals);
	}
}
