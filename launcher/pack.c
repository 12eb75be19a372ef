/*
 * pack OUTPUT LAUNCHER RUNTIME SCRIPT OPTIONS
 *
 * Build-time tool: joins the four files and the trailer into one executable.
 * OPTIONS holds one option for the runtime per line; in the executable each
 * ends with a NUL instead.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "layout.h"
#include "xxh64.h"

static void die(const char *what)
{
	fprintf(stderr, "pack: %s: %s\n", what, strerror(errno));
	exit(1);
}

static char *read_whole(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	char *data;

	if (!file || fstat(fileno(file), &st))
		die(path);
	*size = (size_t)st.st_size;
	data = malloc(*size + 1);
	if (!data || fread(data, 1, *size, file) != *size)
		die(path);
	fclose(file);
	return data;
}

/* Fills up the last page with zeros. */
static char *pad(char *data, size_t *size)
{
	size_t padded = (*size + PAGE_ALIGNMENT - 1) / PAGE_ALIGNMENT * PAGE_ALIGNMENT;

	data = realloc(data, padded);
	if (!data)
		die("memory");
	memset(data + *size, 0, padded - *size);
	*size = padded;
	return data;
}

int main(int argc, char **argv)
{
	struct trailer trailer = { 0 };
	FILE *out;

	if (argc != 2 + PART_COUNT) {
		fprintf(stderr, "usage: pack OUTPUT LAUNCHER RUNTIME SCRIPT OPTIONS\n");
		return 2;
	}
	out = fopen(argv[1], "wb");
	if (!out)
		die(argv[1]);
	for (int i = 0; i < PART_COUNT; i++) {
		size_t size;
		char *data = read_whole(argv[2 + i], &size);

		if (i == PART_OPTIONS)
			for (size_t j = 0; j < size; j++)
				if (data[j] == '\n')
					data[j] = '\0';
		/* The runtime is mapped from where it is. */
		if (i == PART_LAUNCHER)
			data = pad(data, &size);
		trailer.parts[i].size = size;
		trailer.parts[i].checksum = xxh64(data, size);
		if (fwrite(data, 1, size, out) != size)
			die(argv[1]);
		free(data);
	}
	trailer.checksum = xxh64(&trailer, offsetof(struct trailer, checksum));
	memcpy(trailer.magic, TRAILER_MAGIC, sizeof(trailer.magic));
	if (fwrite(&trailer, sizeof(trailer), 1, out) != 1 || fchmod(fileno(out), 0755) ||
	    fclose(out))
		die(argv[1]);
	return 0;
}
