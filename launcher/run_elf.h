#ifndef RUN_ELF_H
#define RUN_ELF_H

#include <stdint.h>
#include <sys/types.h>

/* A part of a file that is an ELF executable. */
struct elf_part {
	int fd;
	off_t offset;	/* a multiple of the page size */
	uint64_t size;
};

/*
 * Turns this process into that program, as execve does: the program and its
 * dynamic loader are mapped from their files, share their pages with all other
 * processes that run them, and get arguments, environment and `auxv`, the
 * vector that the kernel gave to this program. The file is closed; what this
 * program mapped stays.
 *
 * Returns only if that fails, with the reason.
 */
const char *run_elf(const struct elf_part *part, char **argv, char **envp, const void *auxv);

#endif
