import { missingNoise, type NoiseKind } from "./noise_kinds.ts";
import type { NoiseResult } from "./noise_result.ts";

/** Functions that ftrace calls on behalf of the noise. */
const HOOKS = [
  "call_direct_funcs",
  "fprobe_ftrace_entry",
  "fprobe_handler",
  "ftrace_graph_func",
  "ftrace_stub",
  "function_profile_call",
  "function_trace_call",
  "function_trace_probe_call",
  "graph_entry",
  "kprobe_ftrace_handler",
  "stack_trace_call",
];

/**
 * Functions that probes of the noise call. The first is what remains for a
 * moment of several at one place, when the last of them has gone.
 */
const PROBES = [
  "aggr_pre_handler",
  "kprobe_dispatcher",
  "pre_handler_kretprobe",
  "without a handler",
];

/** Whether a hook is one that the noise makes. */
function isExpected(by: string): boolean {
  const [, kind, names] = by.match(/^(ftrace hook|kprobe|BPF program) (.*)$/) ??
    [];
  switch (kind) {
    case "ftrace hook":
      return names!.split(", ").every((name) => HOOKS.includes(name));
    case "kprobe":
      return PROBES.includes(names!);
    case "BPF program":
      return /^bpf_(trampoline_\d+(_\d+)?|dispatcher_xdp)$/.test(names!);
  }
  return false;
}

/**
 * Says what is wrong with how xkmon bore the noise.
 *
 * @param kinds what kinds of noise there were to be.
 * @returns one line each; none if nothing is wrong.
 */
export function judgeNoise(
  result: NoiseResult,
  kinds: readonly NoiseKind[],
): string[] {
  const { guard, counts, failure } = result;
  const wrong: string[] = failure === undefined ? [] : [failure];
  for (const name of missingNoise(kinds, counts)) {
    wrong.push(`no noise: ${name}`);
  }
  if (guard === undefined) return wrong;
  const { events, code, stderr } = guard;
  for (const { finding } of events) {
    if (finding === undefined) continue;
    const { rule, address, symbol, summary } = finding;
    wrong.push(`false alarm: ${rule.id} ${address} ${symbol}: ${summary}`);
  }
  const owners = new Set(
    events.flatMap(({ instrumentation }) => instrumentation?.by ?? []),
  );
  for (const by of owners) {
    if (!isExpected(by)) wrong.push(`not made by the noise: ${by}`);
  }
  if (code !== 0 || stderr !== "") {
    wrong.push(`xkmon ended with ${code}: ${stderr}`);
  }
  return wrong;
}
