/*
 * A program in the middle of a file cannot be given to execve, and a copy of it
 * in memory is 95 MB that Dom0 cannot reclaim, for each process. So this does
 * what the kernel does (fs/binfmt_elf.c), for position-independent 64-bit
 * programs with a dynamic loader.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

#include "run_elf.h"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#error "unknown architecture"
#endif

/* More is no program of ours. */
#define MAX_HEADERS 64
#define MAX_PATH_SIZE 256

/* A program with its headers, and where it is mapped. */
struct image {
	struct elf_part part;
	Elf64_Ehdr header;
	Elf64_Phdr segments[MAX_HEADERS];
	uintptr_t base;
};

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t page_floor(uint64_t value)
{
	return value & ~(page_size() - 1);
}

static uint64_t page_ceil(uint64_t value)
{
	return page_floor(value + page_size() - 1);
}

static int read_part(const struct elf_part *part, void *buffer, uint64_t size, uint64_t offset)
{
	if (offset > part->size || size > part->size - offset)
		return 0;
	return pread(part->fd, buffer, size, part->offset + (off_t)offset) == (ssize_t)size;
}

static const char *read_headers(struct image *image)
{
	const Elf64_Ehdr *header = &image->header;

	if (!read_part(&image->part, &image->header, sizeof(image->header), 0) ||
	    memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != MACHINE ||
	    header->e_type != ET_DYN)
		return "it is no program for this processor";
	if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > MAX_HEADERS ||
	    !read_part(&image->part, image->segments,
		       header->e_phnum * sizeof(Elf64_Phdr), header->e_phoff))
		return "its program headers cannot be read";
	return NULL;
}

static int protection(const Elf64_Phdr *segment)
{
	return (segment->p_flags & PF_R ? PROT_READ : 0) |
	       (segment->p_flags & PF_W ? PROT_WRITE : 0) |
	       (segment->p_flags & PF_X ? PROT_EXEC : 0);
}

/*
 * What a segment has beyond its part of the file is zero, and so is the rest of
 * the page, which the dynamic loader counts on.
 */
static int map_zeros(const struct image *image, const Elf64_Phdr *segment)
{
	uint64_t start = image->base + segment->p_vaddr + segment->p_filesz;
	uint64_t end = image->base + segment->p_vaddr + segment->p_memsz;
	uint64_t page = page_ceil(start);

	if (end <= start)
		return 1;
	if (segment->p_flags & PF_W)
		memset((void *)start, 0, page - start);
	if (page >= end)
		return 1;
	return mmap((void *)page, page_ceil(end) - page, protection(segment),
		    MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static int map_segment(const struct image *image, const Elf64_Phdr *segment)
{
	uint64_t skew = segment->p_vaddr - page_floor(segment->p_vaddr);
	void *at = (void *)(image->base + segment->p_vaddr - skew);

	if (segment->p_filesz > 0 &&
	    mmap(at, segment->p_filesz + skew, protection(segment),
		 MAP_PRIVATE | MAP_FIXED, image->part.fd,
		 image->part.offset + (off_t)(segment->p_offset - skew)) == MAP_FAILED)
		return 0;
	return map_zeros(image, segment);
}

static const char *map_image(struct image *image)
{
	const Elf64_Phdr *segments = image->segments;
	uint64_t size = 0;
	void *base;

	for (int i = 0; i < image->header.e_phnum; i++) {
		const Elf64_Phdr *segment = &segments[i];
		uint64_t end = segment->p_vaddr + segment->p_memsz;

		if (segment->p_type != PT_LOAD)
			continue;
		if (end < segment->p_vaddr || segment->p_filesz > segment->p_memsz ||
		    segment->p_offset > image->part.size ||
		    segment->p_filesz > image->part.size - segment->p_offset ||
		    (segment->p_offset ^ segment->p_vaddr) & (page_size() - 1))
			return "its segments are wrong";
		if (page_ceil(end) > size)
			size = page_ceil(end);
	}
	if (size == 0)
		return "it has no segments";
	/* Where the kernel likes, and nothing else comes in between. */
	base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED)
		return strerror(errno);
	image->base = (uintptr_t)base;
	for (int i = 0; i < image->header.e_phnum; i++)
		if (segments[i].p_type == PT_LOAD && !map_segment(image, &segments[i]))
			return strerror(errno);
	return NULL;
}

static const char *open_loader(const struct image *program, struct image *loader)
{
	char path[MAX_PATH_SIZE];
	const Elf64_Phdr *name = NULL;
	off_t size;

	for (int i = 0; i < program->header.e_phnum; i++)
		if (program->segments[i].p_type == PT_INTERP)
			name = &program->segments[i];
	if (!name || name->p_filesz == 0 || name->p_filesz > sizeof(path) ||
	    !read_part(&program->part, path, name->p_filesz, name->p_offset) ||
	    path[name->p_filesz - 1] != '\0')
		return "it names no dynamic loader";
	loader->part.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (loader->part.fd < 0)
		return "no dynamic loader for it (glibc is needed)";
	size = lseek(loader->part.fd, 0, SEEK_END);
	loader->part.size = size > 0 ? (uint64_t)size : 0;
	return read_headers(loader);
}

static uint64_t auxiliary(const Elf64_auxv_t *entry, const struct image *program,
			  const struct image *loader)
{
	switch (entry->a_type) {
	case AT_PHDR:
		return program->base + program->header.e_phoff;
	case AT_PHENT:
		return sizeof(Elf64_Phdr);
	case AT_PHNUM:
		return program->header.e_phnum;
	case AT_BASE:
		return loader->base;
	case AT_ENTRY:
		return program->base + program->header.e_entry;
	default:
		return entry->a_un.a_val;
	}
}

static size_t count(char **list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

/* The kernel shall write of this thread where its new C library says. */
static void forget_rseq(void)
{
#ifdef RSEQ_SIG
	if (__rseq_size == 0)
		return;
	/* The size at its registration: 32, or more since glibc 2.40. */
	for (unsigned int size = 32; size <= 256; size += 32)
		if (!syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, size,
			     RSEQ_FLAG_UNREGISTER, RSEQ_SIG))
			return;
#endif
}

__attribute__((noreturn))
static void enter(uint64_t *stack, uint64_t entry)
{
#if defined(__x86_64__)
	/* rdx: nothing to be called at the end; rbp: the outermost frame */
	__asm__ volatile("mov %0, %%rsp\n\t"
			 "xor %%edx, %%edx\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "jmp *%1"
			 : : "a"(stack), "c"(entry) : "memory");
#else
	register uint64_t to __asm__("x16") = entry;

	__asm__ volatile("mov sp, %0\n\t"
			 "mov x0, xzr\n\t"
			 "mov x29, xzr\n\t"
			 "mov x30, xzr\n\t"
			 "br %1"
			 : : "r"(stack), "r"(to) : "x0", "memory");
#endif
	__builtin_unreachable();
}

/*
 * Makes the start of the stack (System V ABI, "Process Initialization"): number
 * of arguments, arguments, environment, auxiliary vector.
 */
__attribute__((noreturn, noinline))
static void start(const struct image *program, const struct image *loader, char **argv,
		  char **envp, const Elf64_auxv_t *auxv)
{
	size_t argc = count(argv), envc = count(envp), auxc = 1;
	uint64_t *stack, *next;

	while (auxv[auxc - 1].a_type != AT_NULL)
		auxc++;
	stack = alloca((3 + argc + envc + 2 * auxc) * sizeof(*stack) + 16);
	stack = (uint64_t *)(((uintptr_t)stack + 15) & ~(uintptr_t)15);
	next = stack;
	*next++ = argc;
	for (size_t i = 0; i <= argc; i++)
		*next++ = (uint64_t)argv[i];
	for (size_t i = 0; i <= envc; i++)
		*next++ = (uint64_t)envp[i];
	for (size_t i = 0; i < auxc; i++) {
		*next++ = auxv[i].a_type;
		*next++ = auxiliary(&auxv[i], program, loader);
	}
	forget_rseq();
	enter(stack, loader->base + loader->header.e_entry);
}

const char *run_elf(const struct elf_part *part, char **argv, char **envp, const void *auxv)
{
	static struct image program, loader;
	const char *failed;

	program.part = *part;
	failed = read_headers(&program);
	if (!failed)
		failed = open_loader(&program, &loader);
	if (!failed)
		failed = map_image(&program);
	if (!failed)
		failed = map_image(&loader);
	if (failed)
		return failed;
	close(loader.part.fd);
	close(part->fd);
	start(&program, &loader, argv, envp, auxv);
}
