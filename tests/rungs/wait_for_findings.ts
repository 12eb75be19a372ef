import type { Lab } from "../lab/mod.ts";
import type { PrintedEvent } from "../support/printed_event.ts";

/** A time in which several passes come, and how long one is waited for, s */
const SEVERAL_PASSES = 2;
const LIMIT = 30;

/**
 * Waits until xkmon has told of an attack, and of all that the next passes find.
 *
 * @param mustCome Whether it is waited for; else only several passes are.
 * @param read What xkmon has said of the attack so far
 */
export async function waitForFindings(
  lab: Lab,
  mustCome: boolean,
  read: () => Promise<readonly PrintedEvent[]>,
): Promise<readonly PrintedEvent[]> {
  const hasCome = async () =>
    (await read()).some(({ finding }) => finding !== undefined);
  for (let waited = 0; mustCome && waited < LIMIT; waited++) {
    if (await hasCome()) break;
    await lab.run("sleep 1");
  }
  await lab.run(`sleep ${SEVERAL_PASSES}`);
  return await read();
}
