/** A kind of noise, by what of it must have happened if it was there at all. */
export const NOISE_KINDS = {
  modules: ["loads", "unloads"],
  ftrace: ["function", "graph", "command"],
  ftrace_all: ["function"],
  instances: ["traced", "removed"],
  kprobes: ["entry", "middle", "return", "enabled", "disabled"],
  tracepoints: ["groups"],
  bpf: ["classic", "socket", "seccomp", "kprobe", "tracepoint", "fentry"],
  keys: ["sched_schedstats", "enabled", "bpf_stats_enabled"],
  cpus: ["offline", "online"],
  load: ["rounds"],
} as const satisfies Record<string, readonly string[]>;

/** A name in {@linkcode NOISE_KINDS}. */
export type NoiseKind = keyof typeof NOISE_KINDS;
