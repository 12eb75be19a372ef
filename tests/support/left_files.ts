import type { Lab } from "../lab/mod.ts";

/** Names of the files that xkmon keeps of a guest while it guards it. */
export async function leftFiles(lab: Lab, domid: number): Promise<string[]> {
  const { stdout } = await lab.run(["ls", "-A", "/run/xkmon"]);
  return stdout.split("\n").filter((name) => name.startsWith(`${domid}.`));
}
