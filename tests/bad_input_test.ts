import { assert, assertEquals } from "@std/assert";
import { fetchKernel } from "./lab/mod.ts";
import { assertGuests } from "./support/assert_guests.ts";
import { assertRefused } from "./support/assert_refused.ts";
import { assertUnprotected } from "./support/assert_unprotected.ts";
import { buildXkmon } from "./support/build_xkmon.ts";
import { freshGuest } from "./support/fresh_guest.ts";
import { hasJournal } from "./support/has_journal.ts";
import { LONG } from "./support/long.ts";
import { runXkmon } from "./support/run_xkmon.ts";
import { putShiftedKernel } from "./support/shifted_kernel.ts";
import { startLab, XKMON } from "./support/start_lab.ts";

const GUARD = ["--dom", "simpleos"];
/** Where the lab keeps the configuration of the last guest of the name. */
const CONFIG = "/share/guests/simpleos.cfg";

/** What Dom0 needs for the table below. */
const PREPARE = `set -e
echo nobody:x:65534:65534::/:/bin/sh >>/etc/passwd
mkdir /tmp/full
mount -t tmpfs -o size=4k tmpfs /tmp/full
: >/tmp/full/log
dd if=/dev/zero of=/tmp/full/rest bs=4096 count=1 2>/dev/null
printf 'name="disk"\\ntype="hvm"\\nmemory=64\\n' >/root/hvm.cfg`;

/** It is waited for half a minute that such a kernel comes up. */
const TAKES_LONG = "a kernel file of Linux for another system";

/** Arguments, and what the one line must say; by what is wrong. */
const IN_DOM0: Readonly<Record<string, [readonly string[], RegExp]>> = {
  "no such domain": [["--dom", "nobody"], /No domain is called nobody/],
  "no such domain id": [["--dom", "32000"], /No domain is called 32000/],
  "Dom0 itself": [["--dom", "0"], /No domain is called 0;/],
  "a guest that never ran": [
    ["--dom", "pvh"],
    /No profile of the guest's kernel \(anchor\): no virtual CPU leads to/,
  ],
  "a configuration of an HVM guest": [
    ["start", "/root/hvm.cfg"],
    /is of an HVM guest, which loads its kernel itself/,
  ],
  "a kernel file of an unknown system": [
    [...GUARD, "--kernel", "/bin/busybox"],
    /No profile fits .*busybox \(it has no note of its guest OS\)/,
  ],
  [TAKES_LONG]: [
    [...GUARD, "--kernel", "/root/vmlinux"],
    /No profile of the guest's kernel \(anchor\)/,
  ],
  "a kernel file that is no ELF": [
    [...GUARD, "--kernel", "/etc/passwd"],
    /\/etc\/passwd.* ELF/,
  ],
  "a kernel file that is missing": [
    [...GUARD, "--kernel", "/root/missing"],
    /\/root\/missing/,
  ],
  "a kernel file that is a directory": [
    [...GUARD, "--kernel", "/root"],
    /\/root is a directory/i,
  ],
  "a kernel file of another guest": [
    [...GUARD, "--kernel", "/root/shifted.elf"],
    /is unreadable: not-present/,
  ],
  "an unknown profile": [
    [...GUARD, "--profile", "beos"],
    /No profile is called "beos"; known: linux, simpleos/,
  ],
  "a configuration that is missing": [["start", "/root/missing.cfg"], /xl/],
  "a log in no directory": [
    [...GUARD, "--log", "/missing/log"],
    /The log \/missing\/log cannot be opened/,
  ],
  "a log that is a directory": [
    [...GUARD, "--log", "/root"],
    /The log \/root cannot be opened/,
  ],
  "a full disk under the log": [
    [...GUARD, "--log", "/tmp/full/log"],
    /The log \/tmp\/full\/log cannot be written: No space left/,
  ],
};

/** Arguments, by what only root may do. */
const NOT_ROOT: Readonly<Record<string, readonly string[]>> = {
  "guarding": GUARD,
  "a scan": ["scan", ...GUARD],
  "a start": ["start", CONFIG],
  "a release": ["release", ...GUARD],
  "info": ["info", ...GUARD],
};

Deno.test("what an operator must put right leaves the guest alone", async (t) => {
  await using lab = await startLab();
  await using fresh = await freshGuest(lab);
  const { simpleos, domid } = fresh;
  await lab.run(PREPARE);
  await lab.put(
    (await fetchKernel("linux-image-amd64")).vmlinux,
    "/root/vmlinux",
  );
  await putShiftedKernel(lab, "/root/shifted.elf");
  await lab.createGuest(
    { name: "pvh", type: "pvh", kernel: "/root/vmlinux", memory: 128 },
    { paused: true },
  );

  for (const [what, [args, reason]] of Object.entries(IN_DOM0)) {
    await t.step({
      name: `${what} is one line and exit status 2`,
      ignore: what === TAKES_LONG && !LONG,
      fn: async () => {
        const result = await runXkmon(lab, ...args);
        assertRefused(result, reason);
        assert(!/\bGUARDED\b/.test(result.stdout), result.stdout);
        assertEquals(await hasJournal(lab, domid), false);
        await assertGuests(lab, "simpleos", "pvh");
      },
    });
  }

  for (const [what, args] of Object.entries(NOT_ROOT)) {
    await t.step(`${what} as another user than root is refused`, async () => {
      const command = [XKMON, ...args].join(" ");
      const result = await lab.run(["su", "nobody", "-c", command], {
        check: false,
      });
      assertRefused(result, /Only root may do this/);
      assertEquals(result.stdout, "");
      await assertGuests(lab, "simpleos", "pvh");
    });
  }

  await t.step("after all that the guest is as it was", async () => {
    assertEquals((await runXkmon(lab, "scan", ...GUARD)).code, 0);
    assertEquals(await simpleos.command("ping"), "pong");
    await assertUnprotected(simpleos);
  });
});

/** The same for what is wrong wherever xkmon runs. */
const ANYWHERE: Readonly<Record<string, [readonly string[], RegExp]>> = {
  "nothing to do": [[], /xkmon --dom NAME/],
  "an unknown command": [["dance"], /dance is no command/],
  "an unknown option": [[...GUARD, "--fast"], /--fast is no option/],
  "an unknown response": [
    [...GUARD, "--on-attack", "shout"],
    /report, block, restore, pause, dump, reboot, destroy, .*not shout/,
  ],
  "a response for an unknown rule": [
    [...GUARD, "--on-attack", "XK-999=pause"],
    /knows the rules XK-001, .*XK-014, not XK-999/,
  ],
  "evidence that nobody can write": [
    [...GUARD, "--on-attack", "dump", "--evidence", "/proc/evidence"],
    /Evidence cannot be kept in \/proc\/evidence: .*--evidence/,
  ],
  "an interval that is no number": [
    [...GUARD, "--interval", "soon"],
    /--interval takes seconds from 0\.05 to 3600, not soon/,
  ],
  "an interval of nothing": [[...GUARD, "--interval", "0"], /not 0$/m],
  "an interval without end": [[...GUARD, "--interval", "1e9"], /not 1e9$/m],
  "an option twice": [[...GUARD, ...GUARD], /Give --dom only once/],
  "an option without its value": [["--dom"], /--dom needs a value/],
  "a scan by a first reading": [
    ["scan", ...GUARD, "--trust-first-reading"],
    /leave out --trust-first-reading/,
  ],
  "a start without a configuration": [["start"], /start needs a file/],
  "a machine that is no Dom0": [GUARD, /Dom0|libxen/],
  "a start on a machine that is no Dom0": [
    ["start", "/etc/xen/guest.cfg"],
    /Dom0|libxen/,
  ],
};

Deno.test("on a machine without Xen", async (t) => {
  const xkmon = await buildXkmon();
  for (const [what, [args, reason]] of Object.entries(ANYWHERE)) {
    await t.step(`${what} is one line and exit status 2`, async () => {
      const { code, stdout, stderr } = await new Deno.Command(xkmon, {
        args: [...args],
        signal: AbortSignal.timeout(60_000),
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      assertRefused({ code, stderr: text(stderr) }, reason);
      assertEquals(text(stdout), "");
    });
  }
});
