import { assertEquals } from "@std/assert";
import { judgeNoise } from "./linux/noise/judge_noise.ts";
import type { NoiseKind } from "./linux/noise/noise_kinds.ts";
import { runNoise } from "./linux/noise/run_noise.ts";

/**
 * All but what takes minutes in an emulator (`ftrace_all`), and what needs
 * another processor; `deno task noise` has them.
 */
const KINDS: readonly NoiseKind[] = [
  "modules",
  "ftrace",
  "instances",
  "kprobes",
  "tracepoints",
  "bpf",
  "keys",
  "load",
];

Deno.test("a minute of a Linux kernel's own changes to its code is no attack", async () => {
  const result = await runNoise({
    version: "6.1",
    type: "pv",
    kinds: KINDS,
    minutes: 1,
    vcpus: 1,
    lateCpus: false,
    early: false,
    alone: false,
    cpus: 2,
  });
  assertEquals(judgeNoise(result, KINDS), []);
});
