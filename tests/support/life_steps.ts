import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { SimpleOS } from "../simpleos/guest.ts";
import { assertStandsStill } from "./assert_stands_still.ts";

/** What every SimpleOS can do that nobody attacks, whatever type it is of. */
export async function lifeSteps(
  t: Deno.TestContext,
  simpleos: SimpleOS,
): Promise<void> {
  const { lab } = simpleos;

  await t.step("answers a ping and counts ticks", async () => {
    assertEquals(await simpleos.command("ping"), "pong");
    assertEquals(await simpleos.state(), "running");
    assertEquals(await simpleos.command("dance"), "unknown command");
    await simpleos.waitForTick();
  });

  await t.step("announces its fault channel before it runs", async () => {
    const { stdout } = await lab.run(
      "xenstore-ls /local/domain/$(xl domid simpleos)/data/xkmon",
    );
    assert(/^fault-ref = "\d+"$/m.test(stdout), stdout);
    assert(/^fault-port = "\d+"$/m.test(stdout), stdout);
    assert(/^fault-version = "1"$/m.test(stdout), stdout);
  });

  await t.step("stands still while it is paused", async () => {
    await simpleos.guest.pause();
    await assertStandsStill(simpleos);
    await simpleos.guest.unpause();
    await simpleos.waitForTick();
    assertEquals(await simpleos.command("ping"), "pong");
  });

  await t.step("works under load and changes nothing protected", async () => {
    const checksum = await simpleos.command("checksum");
    assertEquals(await simpleos.command("load_on"), "load on");
    const rounds = async () =>
      Number(await simpleos.guest.xenstoreRead("data/load") ?? 0);
    const first = await rounds();
    await lab.run("sleep 2");
    assert(await rounds() > first, "the load does not proceed");
    assertEquals(await simpleos.command("checksum"), checksum);
    assertEquals(await simpleos.command("load_off"), "load off");
    assertEquals(await simpleos.command("ping"), "pong");
  });

  await t.step("reboots when the toolstack asks", async () => {
    const domid = await simpleos.guest.domid();
    await lab.run(["xl", "reboot", "simpleos"]);
    await simpleos.guest.waitForConsole(
      /state: shutdown[^]*state: running/,
      30_000,
    );
    assertNotEquals(await simpleos.guest.domid(), domid);
    assertEquals(await simpleos.command("ping"), "pong");
  });
}
