import { assert, assertEquals } from "@std/assert";
import { buildProgram } from "./dom0/build_program.ts";
import { type Job, Lab } from "./lab/mod.ts";
import { startSimpleOS } from "./simpleos/guest.ts";

const PROGRAM = "/root/self_test";
const GUEST = "simpleos";
const COMMAND_MS = 120_000;

/** A check's line, as `self_test.ts` prints it. */
interface Outcome {
  readonly name: string;
  readonly error?: string;
}

function command(name: string): string {
  return `${PROGRAM} ${name} ${GUEST} /root/simpleos.elf`;
}

/** A command that waits for lines on its standard input, and how to send one. */
async function startWaiting(
  lab: Lab,
  name: string,
): Promise<{ job: Job; proceed: () => Promise<void> }> {
  const fifo = `/run/self_test-${name}`;
  await lab.run(["mkfifo", fifo]);
  // Opened for both ways it has no end between two lines
  const job = await lab.spawn(`exec ${command(name)} <>${fifo}`);
  await job.waitForLine(/^ready$/, COMMAND_MS);
  return { job, proceed: async () => void await lab.run(`echo >${fifo}`) };
}

function outcomes(output: string): Outcome[] {
  return output.split("\n").filter((line) => line.startsWith("{")).map((line) =>
    JSON.parse(line)
  );
}

/** Lines of `xl list` about this domain id, whatever became of its name. */
async function listed(lab: Lab, id: number): Promise<string[]> {
  const { stdout } = await lab.run(["xl", "list"]);
  return stdout.split("\n").filter((line) =>
    Number(line.split(/\s+/)[1]) === id
  );
}

/** The journal of the guest, or undefined if there is none. */
async function journal(lab: Lab, id: number): Promise<string | undefined> {
  const { code, stdout } = await lab.run(`cat /run/xkmon/${id}.json`, {
    check: false,
  });
  return code === 0 ? stdout : undefined;
}

Deno.test("the Xen library in Dom0", async (t) => {
  await using lab = await Lab.start({
    files: [{
      from: await buildProgram("tests/dom0/self_test.ts"),
      to: PROGRAM,
    }],
  });
  const simpleos = await startSimpleOS(lab);
  const id = await simpleos.guest.domid();

  const { stdout } = await lab.run(command("check"), { timeoutMs: COMMAND_MS });
  const checks = outcomes(stdout);
  assert(checks.length >= 19, stdout);
  for (const { name, error } of checks) {
    await t.step(name, () => assertEquals(error, undefined, error));
  }

  await t.step(
    "a protected guest cannot write, and protection leaves no trace",
    async () => {
      const { job, proceed } = await startWaiting(lab, "protect");
      assertEquals(await simpleos.command("data_attack"), "blocked");
      assertEquals(await simpleos.command("code_attack"), "blocked");
      await proceed();
      const { stdout, stderr } = await job.wait(COMMAND_MS);
      const [outcome] = outcomes(stdout);
      assert(outcome !== undefined, stderr);
      assertEquals(outcome.error, undefined, outcome.error);
      assertEquals(await journal(lab, id), undefined);
    },
  );

  await t.step("what a killed monitor left behind is undone", async () => {
    const abandoned = await lab.run(command("abandon"));
    assert(Number(abandoned.stdout) > 0, abandoned.stdout);
    assert((await journal(lab, id))?.includes('"entries":[{'));
    assertEquals(await simpleos.command("data_attack"), "blocked");
    const recovered = await lab.run(command("recover"));
    assertEquals(
      recovered.stdout.trim(),
      `${abandoned.stdout.trim()} page-table entries are writable again`,
    );
    assertEquals(await journal(lab, id), undefined);
    assertEquals((await lab.run(command("recover"))).stdout.trim(), "nothing");
    assertEquals(await simpleos.command("data_attack"), "done");
  });

  await t.step("a guest that a killed monitor held runs on", async () => {
    await lab.run(command("abandon-held"));
    assertEquals(await simpleos.guest.state(), "--p---");
    const recovered = await lab.run(command("recover"));
    assertEquals(recovered.stdout.trim(), "ended its pause");
    await simpleos.waitForTick();
    assertEquals((await lab.run(command("recover"))).stdout.trim(), "nothing");
  });

  await t.step(
    "a dead guest goes when its mappings are given back",
    async () => {
      const { job, proceed } = await startWaiting(lab, "hold");
      await simpleos.guest.destroy();
      await new Promise((resolve) => setTimeout(resolve, 2000));
      assertEquals(
        (await listed(lab, id)).length,
        1,
        "it should still be there",
      );
      await proceed();
      await job.waitForLine(/^released$/);
      const limit = Date.now() + 15_000;
      while ((await listed(lab, id)).length > 0) {
        assert(Date.now() < limit, "it stays without a mapping");
      }
      await proceed();
      assertEquals((await job.wait()).code, 0);
    },
  );
});
