import type { Libraries } from "./libraries.ts";

/**
 * How long a process has been on processors, ms: 0 if there is no such process.
 * Its file in `/proc` is closed to a program that may not do everything.
 * See clock_getcpuclockid(3).
 *
 * @param pid Process id
 */
export function cpuTime(
  { libc }: Pick<Libraries, "libc">,
  pid: number,
): number {
  const clock = new Int32Array(1);
  const time = new BigInt64Array(2);
  const { clock_getcpuclockid, clock_gettime } = libc.symbols;
  if (clock_getcpuclockid(pid, clock) !== 0) return 0;
  if (clock_gettime(clock[0]!, time) !== 0) return 0;
  return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
}
