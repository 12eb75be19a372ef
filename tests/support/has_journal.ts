import type { Lab } from "../lab/mod.ts";

/** Whether there is a record of what a monitor did to a domain and has not undone. */
export async function hasJournal(lab: Lab, domid: number): Promise<boolean> {
  const path = `/run/xkmon/${domid}.json`;
  return (await lab.run(["test", "-e", path], { check: false })).code === 0;
}
