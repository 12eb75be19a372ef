import type { Lab } from "../lab/mod.ts";

/** Names of the files that xkmon keeps of a guest while it guards it. */
export async function leftFiles(lab: Lab, domid: number): Promise<string[]> {
  const pattern = `${domid}.*`;
  // ls fails if one goes meanwhile
  const { stdout } = await lab.run(`cd /run/xkmon && echo ${pattern}`);
  return stdout.trim().split(" ").filter((name) => name !== pattern);
}
