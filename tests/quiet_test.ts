import { assert, assertEquals } from "@std/assert";
import type { Lab } from "./lab/mod.ts";
import { cpuSeconds } from "./support/cpu_seconds.ts";
import { freshGuest } from "./support/fresh_guest.ts";
import { hasJournal } from "./support/has_journal.ts";
import { LONG } from "./support/long.ts";
import { Monitor } from "./support/monitor.ts";
import { startLab } from "./support/start_lab.ts";

/** How long the guest is watched: until everything was looked at again. */
const MINUTES = LONG ? 10 : 1.5;
/** From one look at the guest to the next, ms. */
const LOOK_EVERY = 10_000;

/** Seconds of processor time of a process in Dom0, and Dom0's uptime. */
async function times(lab: Lab, pid: number): Promise<[number, number]> {
  const { stdout } = await lab.run(`cat /proc/${pid}/stat /proc/uptime`);
  const [stat, uptime] = stdout.split("\n");
  return [cpuSeconds(stat!), Number(uptime!.split(" ")[0])];
}

Deno.test(`${MINUTES} min of honest work are no attack`, async () => {
  await using lab = await startLab();
  await using fresh = await freshGuest(lab);
  const { simpleos, domid } = fresh;
  await using monitor = await Monitor.start(lab, "--dom", "simpleos");
  await monitor.armed(domid);
  const checksum = await simpleos.command("checksum");
  assertEquals(await simpleos.command("load_on"), "load on");

  const end = Date.now() + MINUTES * 60_000;
  const [cpuBefore, before] = await times(lab, monitor.job.pid!);
  let ticks = await simpleos.ticks();
  let rounds = 0;
  while (Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    assert((await simpleos.guest.state())?.[2] !== "p", "the guest is paused");
    const [nowTicks, nowRounds] = [
      await simpleos.ticks(),
      Number(await simpleos.guest.xenstoreRead("data/load")),
    ];
    assert(nowTicks > ticks, `the guest stands still at tick ${ticks}`);
    assert(nowRounds > rounds, `the load stands still at round ${rounds}`);
    [ticks, rounds] = [nowTicks, nowRounds];
  }
  const [cpuAfter, after] = await times(lab, monitor.job.pid!);

  assertEquals(await simpleos.command("load_off"), "load off");
  assertEquals(await simpleos.command("checksum"), checksum);
  const types = (await monitor.events()).map(({ type }) => type);
  // Its kernel file, its fault channel
  assertEquals(types, ["notice", "notice", "armed"]);
  const { code, stderr } = await monitor.stop();
  assertEquals([code, stderr], [0, ""]);
  assertEquals(await hasJournal(lab, domid), false);

  const share = (cpuAfter - cpuBefore) / (after - before) * 100;
  console.log(
    `${ticks} ticks, ${rounds} rounds of load, no finding; the monitor took ` +
      `${share.toFixed(2)} % of Dom0's processor`,
  );
});
