import type { Lab } from "../lab/mod.ts";
import { type SimpleOS, startSimpleOS } from "../simpleos/guest.ts";
import { quantile } from "./statistics.ts";
import type { Row } from "./row.ts";

const ATTACKS = 20;
const EXPECTED_RATIO = 2;
/** A monitor that has made its first passes, and a Dom0 that does nothing. */
const SETTLE_MS = 1500;
/** Nothing else may run in Dom0 from the order to attack to the pause. */
const ATTACK_MS = 700;

const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Reads a node of the fault channel. */
async function node(simpleos: SimpleOS, name: string): Promise<string> {
  const value = await simpleos.guest.xenstoreRead(`data/xkmon/${name}`);
  if (value === undefined) throw new Error(`SimpleOS announces no ${name}`);
  return value;
}

/**
 * Milliseconds that the guest runs on after a write fault, by its own clock:
 * from the record of the fault, just before it sends the event, to the last
 * instruction before the pause.
 *
 * @param report command in Dom0 that tells the last fault.
 */
async function attack(
  simpleos: SimpleOS,
  name: string,
  report: string,
): Promise<number> {
  const { lab, guest } = simpleos;
  const [before] = (await lab.run(report)).stdout.split(" ").map(Number);
  const order = await simpleos.send(name);
  await delay(ATTACK_MS);
  await guest.waitForState((state) => state?.includes("p") ?? false, 15_000);
  const { stdout } = await lab.run(report);
  const [sequence, nanoseconds] = stdout.split(" ").map(Number);
  await guest.unpause();
  const answer = await simpleos.answer(order);
  if (sequence !== before! + 1 || answer !== "blocked") {
    throw new Error(`fault ${before}, then ${stdout.trim()}; ${answer}`);
  }
  return nanoseconds! / 1e6;
}

/**
 * Time from the guest's event to the pause, in a machine with two processors,
 * one of which the guest has for itself. Both programs are started anew for
 * each attack: a monitor meets its first one cold.
 *
 * @param xkmon the executable in Dom0.
 * @param baseline `baseline.c` in Dom0.
 */
export async function timeToPause(
  lab: Lab,
  xkmon: string,
  baseline: string,
): Promise<Row[]> {
  const simpleos = await startSimpleOS(lab);
  const id = await simpleos.guest.domid();
  const ref = await node(simpleos, "fault-ref");
  const port = await node(simpleos, "fault-port");
  const report = `${baseline} fault ${id} ${ref}`;
  const times: [number[], number[]] = [[], []];
  for (let count = 0; count < ATTACKS; count++) {
    const name = count % 2 === 0 ? "data_attack" : "code_attack";
    const monitor = await lab.spawn(
      `exec ${xkmon} --dom simpleos --fail-closed`,
    );
    await monitor.waitForLine(/GUARDED/);
    await delay(SETTLE_MS);
    times[0].push(await attack(simpleos, name, report));
    // Killed, it leaves the pages read-only, for the other program's turn
    await monitor.signal("SIGKILL");
    await monitor.wait();

    const job = await lab.spawn(`exec ${baseline} pause ${id} ${ref} ${port}`);
    await job.waitForLine(/ready/);
    await delay(SETTLE_MS);
    times[1].push(await attack(simpleos, name, report));
    await job.wait();
  }
  await lab.run([xkmon, "release", "--dom", "simpleos"]);
  await simpleos.guest.destroy();
  return [["median", 0.5], ["90th percentile", 0.9]].map(([name, share]) => {
    const [ours, theirs] = times.map((list) => quantile(list, Number(share)));
    const ratio = ours! / theirs!;
    return {
      what: `guest's event to its pause, ms, ${name} of ${ATTACKS} attacks`,
      xkmon: ours!.toFixed(2),
      baseline: theirs!.toFixed(2),
      ratio,
      ...(name === "median"
        ? {
          expected: {
            text: `at most ${EXPECTED_RATIO}`,
            met: ratio <= EXPECTED_RATIO,
          },
        }
        : {}),
    };
  });
}
