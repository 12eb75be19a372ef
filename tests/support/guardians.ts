import type { Lab } from "../lab/mod.ts";

/** Process ids of guardians in Dom0. */
export async function guardians(lab: Lab): Promise<number[]> {
  // With the brackets it does not find itself
  const { stdout } = await lab.run(
    "grep -l 'guardia[n]' /proc/[0-9]*/cmdline || true",
  );
  return stdout.match(/\d+/g)?.map(Number) ?? [];
}
