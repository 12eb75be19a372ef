import type { Lab } from "../lab/mod.ts";
import type { SimpleOSType } from "../simpleos/start_simpleos.ts";
import { assertGuests } from "../support/assert_guests.ts";
import { assertUnprotected } from "../support/assert_unprotected.ts";
import { freshGuest } from "../support/fresh_guest.ts";
import { XKMON } from "../support/start_lab.ts";
import { untilNoted } from "../support/until_noted.ts";
import { waitUntilUndone } from "../support/wait_until_undone.ts";

/** At most so long after its first note a monitor is killed. */
const LAST_KILL_US = 2_000_000;

/**
 * Kills a monitor some time after it began to change the guest, which is told
 * all the time to attack itself. Arguments: the guest's domain id,
 * microseconds, order, program and its arguments.
 */
const KILL_UNDER_LOAD = `
domid=$1 us=$2 attack=$3
shift 3
node=/local/domain/$domid/data/command
"$@" >/dev/null 2>&1 &
monitor=$!
${untilNoted(30000)}
(
  order=900000
  while xenstore-write "$node" "$((order += 1)) $attack"; do usleep 20000; done
) &
load=$!
usleep "$us"
kill -9 $monitor
wait $monitor
status=$?
kill $load
xenstore-write "$node" "999999 ping"
[ $status -eq 137 ]`;

/** An attack that is stopped, so that the guest waits or faults again and again. */
const LOAD = "data_attack";

/**
 * Kills monitors at random moments while their guests attack, and makes sure
 * each time that the guest runs on, that it can write, and that nothing is left;
 * in the end that Xen has none of them any more.
 *
 * @param count how many
 * @param told gets a line of each
 * @returns what was wrong, a line each.
 */
export async function killMonitors(
  lab: Lab,
  type: SimpleOSType,
  count: number,
  told: (line: string) => void,
): Promise<string[]> {
  const wrong: string[] = [];
  for (let run = 1; run <= count; run++) {
    const us = Math.floor(Math.random() * LAST_KILL_US);
    const name = `${type} ${run} of ${count}, killed after ${us / 1000} ms`;
    try {
      await using fresh = await freshGuest(lab, { type });
      await lab.run(
        [
          ...["sh", "-c", KILL_UNDER_LOAD, "sh"],
          ...[String(fresh.domid), String(us), LOAD, XKMON],
          ...["--dom", String(fresh.domid), "--on-attack", "report"],
          ...["--interval", "0.1"],
        ],
        { timeoutMs: 240_000 },
      );
      await waitUntilUndone(lab, fresh.domid);
      await assertUnprotected(fresh.simpleos);
      told(`${name}: all is undone`);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      wrong.push(`${name}: ${text.replaceAll(/\s+/g, " ")}`);
      told(wrong.at(-1)!);
    }
  }
  try {
    await assertGuests(lab);
  } catch (error) {
    wrong.push(`${type}: ${error instanceof Error ? error.message : error}`);
  }
  return wrong;
}
