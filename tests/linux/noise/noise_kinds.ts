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

/** What of some kinds of noise has not happened yet, by the guest's counts. */
export function missingNoise(
  kinds: readonly NoiseKind[],
  counts: ReadonlyMap<string, number>,
): string[] {
  return kinds.flatMap((kind) =>
    NOISE_KINDS[kind].map((what) => `${kind}.${what}`)
  ).filter((name) => !counts.get(name));
}
