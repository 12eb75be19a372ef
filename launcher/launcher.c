/*
 * The first part of the executable that `build.sh` makes with the method
 * "bundle": runs the program that is appended to it, without unpacking anything
 * to disk. All is checked; the script is copied into a sealed file in memory,
 * the runtime is mapped from where it is, and takes this process over: same
 * process id, same standard streams, same signals, its exit status is ours. The
 * file cannot be written to meanwhile, as none can that a process runs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout.h"
#include "run_elf.h"
#include "xxh64.h"

/* Since Linux 6.3; older kernels refuse it with EINVAL. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* Bytes that are read at once: whole stripes of the checksum */
#define PIECE (256 * 1024)

/* What xkmon exits with whenever it could not do its work. */
#define EXIT_TROUBLE 2

__attribute__((noreturn, format(printf, 1, 2)))
static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("xkmon: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(EXIT_TROUBLE);
}

__attribute__((noreturn))
static void die_damaged(const char *what)
{
	die("this file is damaged (%s): copy it again and compare its SHA-256", what);
}

static void read_exactly(int fd, void *buffer, size_t size, off_t offset)
{
	while (size > 0) {
		ssize_t n = pread(fd, buffer, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("cannot read the program: %s", strerror(errno));
		if (n == 0)
			die_damaged("it ends too early");
		buffer = (char *)buffer + n;
		size -= (size_t)n;
		offset += n;
	}
}

static void read_trailer(int self, struct trailer *trailer)
{
	struct stat st;
	uint64_t rest;

	if (fstat(self, &st))
		die("cannot read the program: %s", strerror(errno));
	if ((uint64_t)st.st_size < sizeof(*trailer))
		die_damaged("it ends too early");
	rest = (uint64_t)st.st_size - sizeof(*trailer);
	read_exactly(self, trailer, sizeof(*trailer), (off_t)rest);
	if (memcmp(trailer->magic, TRAILER_MAGIC, sizeof(trailer->magic)))
		die_damaged("its end is missing");
	if (xxh64(trailer, offsetof(struct trailer, checksum)) != trailer->checksum)
		die_damaged("trailer");
	for (int i = 0; i < PART_COUNT; i++) {
		if (trailer->parts[i].size == 0 || trailer->parts[i].size > rest)
			die_damaged("its size");
		rest -= trailer->parts[i].size;
	}
	if (rest != 0)
		die_damaged("its size");
}

static void check_part(const struct trailer *trailer, enum part part, const void *data)
{
	if (xxh64(data, trailer->parts[part].size) != trailer->parts[part].checksum)
		die_damaged(part_names[part]);
}

/*
 * Checks a part that lies in a file, piece by piece: under Xen, to map so much
 * costs Dom0 more.
 */
static void check_part_of(const struct trailer *trailer, enum part part, int fd, off_t offset)
{
	static unsigned char buffer[PIECE];
	struct xxh64 state = xxh64_start();
	uint64_t left = trailer->parts[part].size;
	size_t size, done;

	do {
		size = left < PIECE ? left : PIECE;
		read_exactly(fd, buffer, size, offset);
		done = xxh64_stripes(&state, buffer, size);
		offset += (off_t)size;
		left -= size;
	} while (left > 0);
	if (xxh64_end(&state, buffer + done, size - done) != trailer->parts[part].checksum)
		die_damaged(part_names[part]);
}

static off_t part_offset(const struct trailer *trailer, enum part part)
{
	off_t offset = 0;

	for (int i = 0; i < (int)part; i++)
		offset += (off_t)trailer->parts[i].size;
	return offset;
}

static int create_memory_file(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		die("cannot create a file in memory: %s", strerror(errno));
	return fd;
}

/*
 * Copies one part into the memory file `fd`, seals it and checks the copy: what
 * is checked is what runs, and nobody can change it in between.
 */
static void fill_memory_file(int fd, int self, const struct trailer *trailer, enum part part)
{
	size_t size = trailer->parts[part].size;
	off_t offset = part_offset(trailer, part);

	for (size_t left = size; left > 0;) {
		ssize_t n = sendfile(fd, self, &offset, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("cannot copy the %s into memory: %s", part_names[part],
			    strerror(errno));
		if (n == 0)
			die_damaged("it ends too early");
		left -= (size_t)n;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL))
		die("cannot seal the %s: %s", part_names[part], strerror(errno));
	check_part_of(trailer, part, fd, 0);
}

/*
 * The runtime takes settings from DENO_* variables. None of the caller's shall
 * change what the program may do or where it writes; its caches get a place
 * that cannot exist, so they stay in memory, and it shall not remark on that.
 */
static void set_environment(void)
{
	extern char **environ;
	char **to = environ;

	for (char **from = environ; *from; from++)
		if (strncmp(*from, "DENO_", 5))
			*to++ = *from;
	*to = NULL;
	if (setenv("DENO_DIR", "/dev/null/xkmon", 1) ||
	    setenv("DENO_LOG", "error,deno::cache::cache_db=off", 1) ||
	    setenv("DENO_NO_UPDATE_CHECK", "1", 1) ||
	    setenv("DENO_NO_PACKAGE_JSON", "1", 1))
		die("cannot set the environment: %s", strerror(errno));
}

/* xkmon OPTIONS... MODULE ARGUMENTS... */
static char **runtime_arguments(char *options, size_t size, char *module, char **arguments)
{
	size_t count = 3;
	char **argv, **next;

	for (size_t i = 0; i < size; i++)
		count += options[i] == '\0';
	for (char **argument = arguments; *argument; argument++)
		count++;
	argv = calloc(count, sizeof(*argv));
	if (!argv)
		die("out of memory");
	next = argv;
	*next++ = "xkmon";
	for (char *option = options; option < options + size; option += strlen(option) + 1)
		*next++ = option;
	*next++ = module;
	while (*arguments)
		*next++ = *arguments++;
	return argv;
}

/* It follows the environment, as the kernel left that. */
static const void *auxiliary_vector(char **environment)
{
	while (*environment)
		environment++;
	return environment + 1;
}

int main(int argc, char **argv)
{
	struct trailer trailer;
	struct elf_part runtime;
	char module[128];
	const void *auxv;
	char *options;
	size_t options_size;
	int self, script;

	auxv = auxiliary_vector(argv + argc + 1);

	self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (self < 0)
		die("cannot open /proc/self/exe: %s", strerror(errno));
	read_trailer(self, &trailer);

	check_part_of(&trailer, PART_LAUNCHER, self, 0);

	options_size = trailer.parts[PART_OPTIONS].size;
	options = malloc(options_size + 1);
	if (!options)
		die("out of memory");
	read_exactly(self, options, options_size, part_offset(&trailer, PART_OPTIONS));
	options[options_size] = '\0';
	check_part(&trailer, PART_OPTIONS, options);

	runtime.fd = self;
	runtime.offset = part_offset(&trailer, PART_RUNTIME);
	runtime.size = trailer.parts[PART_RUNTIME].size;
	check_part_of(&trailer, PART_RUNTIME, self, runtime.offset);

	/*
	 * The script stays open for the runtime to read. Not below 3: there the
	 * standard streams belong, also when the caller has closed them.
	 */
	script = create_memory_file("xkmon.js");
	fill_memory_file(script, self, &trailer, PART_SCRIPT);
	if (script < 3) {
		int copy = fcntl(script, F_DUPFD_CLOEXEC, 3);

		if (copy < 0)
			die("cannot keep the script open: %s", strerror(errno));
		close(script);
		script = copy;
	}
	/*
	 * A module that takes the script as text, for the runtime parses every module
	 * to see what that imports: three times as long as V8 takes to compile it.
	 */
	snprintf(module, sizeof(module),
		 "data:text/javascript,import script from 'file:///proc/self/fd/%d' "
		 "with { type: 'text' }; await (0, eval)(script);", script);

	set_environment();
	argv = runtime_arguments(options, options_size, module, argv + (argc > 0));
	die("cannot start the runtime: %s", run_elf(&runtime, argv, environ, auxv));
}
