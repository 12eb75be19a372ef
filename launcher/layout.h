#ifndef LAYOUT_H
#define LAYOUT_H

#include <stdint.h>

/*
 * One executable: the launcher's ELF, the runtime, the script and the options
 * for the runtime lie back to back, then this trailer ends the file. Every
 * byte belongs to exactly one part, so that damage anywhere is seen. Zeros at
 * the launcher's end have the runtime begin at a page.
 */

enum part { PART_LAUNCHER, PART_RUNTIME, PART_SCRIPT, PART_OPTIONS, PART_COUNT };

static const char *const part_names[PART_COUNT] = {
	"launcher", "runtime", "script", "options",
};

/* The largest pages that any target has, bytes */
#define PAGE_ALIGNMENT 0x10000

/* The last byte is the version of this layout. */
#define TRAILER_MAGIC "xkmon\r\n\2"

struct trailer {
	struct {
		uint64_t size;		/* bytes */
		uint64_t checksum;	/* XXH64 */
	} parts[PART_COUNT];
	uint64_t checksum;		/* XXH64 of all that stands above */
	char magic[8];			/* TRAILER_MAGIC, without its NUL */
};

#endif
