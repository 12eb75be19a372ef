import type { Lab } from "../lab/mod.ts";

/** Resident memory of a process in Dom0 and its parts (proc(5)), MiB. */
export interface ResidentMemory {
  readonly all: number;
  readonly anonymous: number;
  readonly file: number;
  readonly shared: number;
}

/**
 * What a process in Dom0 has resident now.
 *
 * @throws {Error} if it does not run.
 */
export async function residentMemory(
  lab: Lab,
  pid: number,
): Promise<ResidentMemory> {
  const { stdout } = await lab.run(["cat", `/proc/${pid}/status`]);
  const mebibytes = (name: string) => {
    const match = stdout.match(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m"));
    if (match === null) throw new Error(`no ${name} in ${stdout}`);
    return Number(match[1]) / 1024;
  };
  return {
    all: mebibytes("VmRSS"),
    anonymous: mebibytes("RssAnon"),
    file: mebibytes("RssFile"),
    shared: mebibytes("RssShmem"),
  };
}
