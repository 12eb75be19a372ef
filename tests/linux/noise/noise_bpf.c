/*
 * Programs in the kernel of a guest that makes noise:
 *
 *   noise-bpf WAY MILLISECONDS
 *
 * loads a program, attaches it in one of the ways of `ways`, holds it for so
 * long and lets it go. It uses system calls only, as no library is at hand.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TRACING "/sys/kernel/tracing"

static useconds_t duration;

static void fail(const char *what, const char *more)
{
	fprintf(stderr, "%s: %s%s%s\n", what, strerror(errno), *more ? ": " : "",
		more);
	exit(1);
}

static void hold(void)
{
	usleep(duration);
}

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof *attr);
}

/* r0 = VALUE; exit, after a call of bpf_ktime_get_ns. */
#define PROGRAM(value)                                                        \
	{                                                                     \
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_ktime_get_ns },  \
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = value },         \
		{ .code = BPF_JMP | BPF_EXIT },                                \
	}

static int load(enum bpf_prog_type type, const char *name,
		const struct bpf_insn *insns, size_t count,
		enum bpf_attach_type attach, uint32_t function)
{
	static char log[4096];
	union bpf_attr attr = {
		.prog_type = type,
		.insns = (uintptr_t)insns,
		.insn_cnt = count,
		.license = (uintptr_t) "GPL",
		.log_buf = (uintptr_t)log,
		.log_size = sizeof log,
		.log_level = 1,
		.expected_attach_type = attach,
		.attach_btf_id = function,
	};

	snprintf(attr.prog_name, sizeof attr.prog_name, "noise_%s", name);
	int program = bpf(BPF_PROG_LOAD, &attr);
	if (program < 0)
		fail("BPF_PROG_LOAD", log);
	return program;
}

static int load_simple(enum bpf_prog_type type, const char *name, int result)
{
	const struct bpf_insn insns[] = PROGRAM(result);

	return load(type, name, insns, COUNT(insns), 0, 0);
}

/* Reads a file that holds a number. */
static long number_in(const char *path)
{
	FILE *file = fopen(path, "r");
	long number;

	if (!file || fscanf(file, "%ld", &number) != 1)
		fail(path, "");
	fclose(file);
	return number;
}

/* Id of a function's type in the kernel's BTF. */
static uint32_t function_id(const char *wanted)
{
	static const uint8_t entry_size[] = {
		[BTF_KIND_STRUCT] = sizeof(struct btf_member),
		[BTF_KIND_UNION] = sizeof(struct btf_member),
		[BTF_KIND_ENUM] = sizeof(struct btf_enum),
		[BTF_KIND_FUNC_PROTO] = sizeof(struct btf_param),
		[BTF_KIND_DATASEC] = sizeof(struct btf_var_secinfo),
		[BTF_KIND_ENUM64] = sizeof(struct btf_enum64),
	};
	static const uint8_t more[] = {
		[BTF_KIND_INT] = sizeof(uint32_t),
		[BTF_KIND_ARRAY] = sizeof(struct btf_array),
		[BTF_KIND_VAR] = sizeof(struct btf_var),
		[BTF_KIND_DECL_TAG] = sizeof(struct btf_decl_tag),
		[BTF_KIND_ENUM64] = 0,
	};
	const char *path = "/sys/kernel/btf/vmlinux";
	int file = open(path, O_RDONLY);
	struct stat status;

	if (file < 0 || fstat(file, &status) < 0)
		fail(path, "");
	char *data = malloc(status.st_size);
	for (off_t have = 0; have < status.st_size;) {
		ssize_t got = read(file, data + have, status.st_size - have);
		if (got <= 0)
			fail(path, "");
		have += got;
	}
	close(file);

	const struct btf_header *header = (const void *)data;
	const char *types = data + header->hdr_len + header->type_off;
	const char *strings = data + header->hdr_len + header->str_off;
	uint32_t id = 1;
	for (size_t at = 0; at < header->type_len; id++) {
		const struct btf_type *type = (const void *)(types + at);
		unsigned int kind = BTF_INFO_KIND(type->info);
		if (kind == BTF_KIND_FUNC &&
		    strcmp(strings + type->name_off, wanted) == 0)
			return id;
		at += sizeof *type;
		if (kind < COUNT(entry_size))
			at += entry_size[kind] * BTF_INFO_VLEN(type->info);
		if (kind < COUNT(more))
			at += more[kind];
	}
	errno = ENOENT;
	fail(path, wanted);
	return 0;
}

/* Classic filter of a packet socket, which also asks for time stamps. */
static void classic(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 64),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog filter = { COUNT(code), code };
	int receiver = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	int one = 1;

	if (receiver < 0 ||
	    setsockopt(receiver, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
		       sizeof filter) < 0 ||
	    setsockopt(receiver, SOL_SOCKET, SO_TIMESTAMP, &one, sizeof one) < 0)
		fail("classic", "");
	hold();
}

static void socket_filter(void)
{
	int program = load_simple(BPF_PROG_TYPE_SOCKET_FILTER, "socket", 64);
	int receiver = socket(AF_INET, SOCK_DGRAM, 0);

	if (receiver < 0 || setsockopt(receiver, SOL_SOCKET, SO_ATTACH_BPF,
				       &program, sizeof program) < 0)
		fail("SO_ATTACH_BPF", "");
	hold();
}

/* A filter stays as long as its process. */
static void seccomp(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_reboot, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = { COUNT(code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		fail("seccomp", "");
	hold();
}

static int open_event(struct perf_event_attr *attr)
{
	attr->size = sizeof *attr;
	int event = syscall(SYS_perf_event_open, attr, -1, 0, -1,
			    PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		fail("perf_event_open", "");
	return event;
}

static void run_at_event(struct perf_event_attr *attr, int program)
{
	attr->sample_period = 1;
	attr->wakeup_events = 1;
	int event = open_event(attr);

	if (ioctl(event, PERF_EVENT_IOC_SET_BPF, program) < 0 ||
	    ioctl(event, PERF_EVENT_IOC_ENABLE, 0) < 0)
		fail("PERF_EVENT_IOC_SET_BPF", "");
	hold();
}

#define KPROBE "/sys/bus/event_source/devices/kprobe/type"

static void kprobe(void)
{
	struct perf_event_attr attr = {
		.type = number_in(KPROBE),
		.kprobe_func = (uintptr_t) "vfs_open",
	};

	run_at_event(&attr, load_simple(BPF_PROG_TYPE_KPROBE, "kprobe", 0));
}

static void kretprobe(void)
{
	struct perf_event_attr attr = {
		.type = number_in(KPROBE),
		.config = 1,
		.kprobe_func = (uintptr_t) "vfs_statx",
	};

	run_at_event(&attr, load_simple(BPF_PROG_TYPE_KPROBE, "kretprobe", 0));
}

/* At the first place behind the function's entry that the kernel accepts. */
static void middle(void)
{
	struct perf_event_attr attr = {
		.size = sizeof attr,
		.type = number_in(KPROBE),
		.kprobe_func = (uintptr_t) "vfs_write",
	};
	int event = -1;

	for (int at = 9; event < 0 && at < 60; at++) {
		attr.probe_offset = at;
		event = syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0);
	}
	if (event < 0)
		fail("perf_event_open", "");
	close(event);
	run_at_event(&attr, load_simple(BPF_PROG_TYPE_KPROBE, "middle", 0));
}

static void tracepoint(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.config = number_in(TRACING "/events/sched/sched_switch/id"),
	};

	run_at_event(&attr,
		     load_simple(BPF_PROG_TYPE_TRACEPOINT, "tracepoint", 0));
}

/* The link lasts as long as its file descriptor. */
static void open_link(int program, const char *name)
{
	union bpf_attr attr = {
		.raw_tracepoint = {
			.name = (uintptr_t)name,
			.prog_fd = program,
		},
	};

	if (bpf(BPF_RAW_TRACEPOINT_OPEN, &attr) < 0)
		fail("BPF_RAW_TRACEPOINT_OPEN", "");
}

static void raw_tracepoint(void)
{
	open_link(load_simple(BPF_PROG_TYPE_RAW_TRACEPOINT, "raw", 0),
		  "sched_wakeup");
	hold();
}

static void trace(enum bpf_prog_type type, enum bpf_attach_type attach,
		  const char *name, const char *function)
{
	const struct bpf_insn insns[] = PROGRAM(0);

	open_link(load(type, name, insns, COUNT(insns), attach,
		       function_id(function)),
		  NULL);
}

static void fentry(void)
{
	trace(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, "fentry", "vfs_read");
	hold();
}

/* The second one makes the kernel replace the trampoline of the first. */
static void fexit(void)
{
	trace(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, "fentry", "vfs_write");
	hold();
	trace(BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, "fexit", "vfs_write");
	hold();
}

static void modify_return(void)
{
	trace(BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, "modify",
	      "security_file_open");
	hold();
}

static void lsm(void)
{
	trace(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, "lsm", "bpf_lsm_file_open");
	hold();
}

static void xdp(void)
{
	const struct bpf_insn insns[] = PROGRAM(XDP_PASS);
	union bpf_attr attr = {
		.link_create = {
			.prog_fd = load(BPF_PROG_TYPE_XDP, "xdp", insns,
					COUNT(insns), BPF_XDP, 0),
			.target_ifindex = 1,
			.attach_type = BPF_XDP,
			.flags = XDP_FLAGS_SKB_MODE,
		},
	};

	if (bpf(BPF_LINK_CREATE, &attr) < 0)
		fail("BPF_LINK_CREATE", "");
	hold();
}

static void cgroup(void)
{
	const struct bpf_insn insns[] = PROGRAM(1);
	union bpf_attr attr = {
		.target_fd = open("/sys/fs/cgroup", O_DIRECTORY),
		.attach_bpf_fd = load(BPF_PROG_TYPE_CGROUP_SKB, "cgroup", insns,
				      COUNT(insns), BPF_CGROUP_INET_EGRESS, 0),
		.attach_type = BPF_CGROUP_INET_EGRESS,
	};

	if (bpf(BPF_PROG_ATTACH, &attr) < 0)
		fail("BPF_PROG_ATTACH", "");
	hold();
	if (bpf(BPF_PROG_DETACH, &attr) < 0)
		fail("BPF_PROG_DETACH", "");
}

/* The program's own code is changed when the map gets its entry. */
static void tail_call(void)
{
	union bpf_attr map = {
		.map_type = BPF_MAP_TYPE_PROG_ARRAY,
		.key_size = 4,
		.value_size = 4,
		.max_entries = 1,
	};
	int array = bpf(BPF_MAP_CREATE, &map);
	const struct bpf_insn insns[] = {
		{ .code = BPF_LD | BPF_DW | BPF_IMM,
		  .dst_reg = BPF_REG_2,
		  .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = array },
		{ 0 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_tail_call },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	uint32_t key = 0;

	if (array < 0)
		fail("BPF_MAP_CREATE", "");
	open_link(load(BPF_PROG_TYPE_RAW_TRACEPOINT, "caller", insns,
		       COUNT(insns), 0, 0),
		  "sched_wakeup");
	int callee = load_simple(BPF_PROG_TYPE_RAW_TRACEPOINT, "callee", 0);
	for (int round = 0; round < 3; round++) {
		union bpf_attr element = {
			.map_fd = array,
			.key = (uintptr_t)&key,
			.value = (uintptr_t)&callee,
		};
		if (bpf(BPF_MAP_UPDATE_ELEM, &element) < 0)
			fail("BPF_MAP_UPDATE_ELEM", "");
		hold();
		element.value = 0;
		if (bpf(BPF_MAP_DELETE_ELEM, &element) < 0)
			fail("BPF_MAP_DELETE_ELEM", "");
	}
}

/* Makes the kernel's dispatcher of XDP programs anew. */
static void test_run(void)
{
	static char packet[64], result[256];
	union bpf_attr attr = {
		.test = {
			.prog_fd = load_simple(BPF_PROG_TYPE_XDP, "test",
					       XDP_PASS),
			.repeat = 1000,
			.data_in = (uintptr_t)packet,
			.data_size_in = sizeof packet,
			.data_out = (uintptr_t)result,
			.data_size_out = sizeof result,
		},
	};

	if (bpf(BPF_PROG_TEST_RUN, &attr) < 0)
		fail("BPF_PROG_TEST_RUN", "");
}

/* No programs, but events that are keys of the kernel, too. */
static void software(void)
{
	static const uint64_t events[] = {
		PERF_COUNT_SW_CONTEXT_SWITCHES,
		PERF_COUNT_SW_CPU_MIGRATIONS,
		PERF_COUNT_SW_PAGE_FAULTS,
		PERF_COUNT_SW_CPU_CLOCK,
		PERF_COUNT_SW_TASK_CLOCK,
	};

	for (size_t i = 0; i < COUNT(events); i++) {
		struct perf_event_attr attr = {
			.type = PERF_TYPE_SOFTWARE,
			.config = events[i],
			.sample_period = 1000,
		};
		open_event(&attr);
	}
	hold();
}

static const struct {
	const char *name;
	void (*run)(void);
} ways[] = {
	{ "classic", classic },
	{ "socket", socket_filter },
	{ "seccomp", seccomp },
	{ "kprobe", kprobe },
	{ "kretprobe", kretprobe },
	{ "middle", middle },
	{ "tracepoint", tracepoint },
	{ "raw_tracepoint", raw_tracepoint },
	{ "fentry", fentry },
	{ "fexit", fexit },
	{ "modify_return", modify_return },
	{ "lsm", lsm },
	{ "xdp", xdp },
	{ "cgroup", cgroup },
	{ "tail_call", tail_call },
	{ "test_run", test_run },
	{ "software", software },
};

int main(int argc, char **argv)
{
	if (argc == 3) {
		duration = atoi(argv[2]) * 1000;
		for (size_t i = 0; i < COUNT(ways); i++) {
			if (strcmp(argv[1], ways[i].name) == 0) {
				ways[i].run();
				return 0;
			}
		}
	}
	fputs("usage: noise-bpf WAY MILLISECONDS\n", stderr);
	return 2;
}
