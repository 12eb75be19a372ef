import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { AlreadyGuardedError, Journal, type JournalState } from "./journal.ts";

const DOMAIN = 5;
const UUID = "00112233-4455-6677-8899-aabbccddeeff";
const LIMIT_MS = 20_000;

const state: JournalState = {
  uuid: UUID,
  entries: [
    { address: 0xffff_ffff_8000_1000n, frame: 0x12345n },
    { address: 0xffff_8880_0000_0000n, frame: 0xff_ffff_ffffn },
  ],
  pause: "working",
};

async function withFolder(use: (folder: string) => void | Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Another process that holds the journal; `end` tells how it dies. */
async function holder(folder: string, ...held: string[]) {
  const script = new URL("testing/hold_journal.ts", import.meta.url).pathname;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", script, `${DOMAIN}`, folder, ...held],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const timer = setTimeout(() => process.kill("SIGKILL"), LIMIT_MS);
  const reader = process.stdout.getReader();
  const { value } = await reader.read();
  assertEquals(new TextDecoder().decode(value), "held\n");
  return {
    pid: process.pid,
    async end(how: "stop" | "SIGKILL") {
      if (how === "stop") await process.stdin.close();
      else process.kill(how);
      await process.status;
      clearTimeout(timer);
      await reader.cancel();
      if (how !== "stop") await process.stdin.abort().catch(() => {});
    },
  };
}

/** What is found when the journal's file holds a text. */
function leftOf(folder: string, text: string): JournalState | undefined {
  Deno.writeTextFileSync(`${folder}/${DOMAIN}.json`, text);
  using journal = new Journal(DOMAIN, folder);
  return journal.left(UUID);
}

Deno.test("what was written is found by the next monitor", () =>
  withFolder((folder) => {
    {
      using journal = new Journal(DOMAIN, folder);
      assertEquals(journal.left(UUID), undefined);
      journal.write(state);
      assertEquals(journal.state, state);
    }
    using next = new Journal(DOMAIN, folder);
    assertEquals(next.left(UUID), state);
    assertEquals(next.state, undefined);
  }));

Deno.test("the last state counts, and after clearing there is none", () =>
  withFolder((folder) => {
    using journal = new Journal(DOMAIN, folder);
    journal.write(state);
    const later: JournalState = { uuid: UUID, entries: [], attack: true };
    journal.write(later);
    assertEquals(journal.left(UUID), later);
    journal.clear();
    journal.clear();
    assertEquals(journal.left(UUID), undefined);
    assertEquals(journal.state, undefined);
  }));

Deno.test("each kind of pause comes back as it was, and none as none", () =>
  withFolder((folder) => {
    using journal = new Journal(DOMAIN, folder);
    const { pause: _, ...unpaused } = state;
    for (const pause of ["working", "working, paused before"] as const) {
      for (const attack of [true, undefined]) {
        const paused = { ...unpaused, pause, ...(attack ? { attack } : {}) };
        journal.write(paused);
        assertEquals(journal.left(UUID), paused);
      }
    }
    journal.write(unpaused);
    assertEquals(journal.left(UUID), unpaused);
  }));

Deno.test("a lock that is free in a moment is waited for, another one is not", () =>
  withFolder(async (folder) => {
    const first = new Journal(DOMAIN, folder);
    setTimeout(() => first[Symbol.dispose](), 50);
    using _second = await Journal.take(DOMAIN, folder);
    await assertRejects(
      () => Journal.take(DOMAIN, folder),
      AlreadyGuardedError,
      `process ${Deno.pid}`,
    );
  }));

Deno.test("a hold is found by the next monitor, with or without a state, until it ends", () =>
  withFolder((folder) => {
    const held = { uuid: UUID, entries: [], hold: true } as const;
    {
      using journal = new Journal(DOMAIN, folder);
      journal.hold(UUID);
      journal.endHold();
      journal.hold(UUID);
    }
    {
      using next = new Journal(DOMAIN, folder);
      assertEquals(next.left(UUID), held);
    }
    using last = new Journal(DOMAIN, folder);
    assertEquals(last.left(UUID), held);
    last.write(state);
    assertEquals(last.left(UUID), { ...state, hold: true });
    last.endHold();
    assertEquals(last.left(UUID), state);
    last.hold(UUID);
    assertEquals(last.left(UUID), { ...state, hold: true });
    last.clear();
    assertEquals(last.left(UUID), undefined);
  }));

Deno.test("a hold is noted even if its process is killed the very moment", () =>
  withFolder(async (folder) => {
    const other = await holder(folder, UUID);
    await other.end("SIGKILL");
    using journal = new Journal(DOMAIN, folder);
    assertEquals(journal.left(UUID)?.hold, true);
  }));

Deno.test("a note of a hold that was cut short is no hold", () =>
  withFolder((folder) => {
    for (const text of ["", UUID, `${UUID} 1`, `${UUID} 0\n`, "\0", "1\n"]) {
      Deno.writeTextFileSync(`${folder}/${DOMAIN}.hold`, text);
      using journal = new Journal(DOMAIN, folder);
      assertEquals(journal.left(UUID), undefined);
    }
  }));

Deno.test("a reused domain id means another domain", () =>
  withFolder((folder) => {
    using journal = new Journal(DOMAIN, folder);
    const other = "ffffffff-4455-6677-8899-aabbccddeeff";
    journal.write({ ...state, uuid: other });
    journal.hold(other);
    assertEquals(journal.left(UUID), undefined);
  }));

Deno.test("journals of different domains do not meet", () =>
  withFolder((folder) => {
    using one = new Journal(5, folder);
    using two = new Journal(6, folder);
    one.write(state);
    assertEquals(two.left(UUID), undefined);
  }));

Deno.test("a file that makes no sense is not taken for nothing", () =>
  withFolder((folder) => {
    const whole = JSON.stringify({ version: 1, uuid: UUID, entries: [] });
    assertEquals(leftOf(folder, whole), { uuid: UUID, entries: [] });
    const texts = [
      "",
      "\0\0\0\0",
      "null",
      "[]",
      "5",
      '"text"',
      whole.slice(0, -1),
      JSON.stringify({ version: 2, uuid: UUID, entries: [] }),
      JSON.stringify({ version: 1, uuid: 5, entries: [] }),
      JSON.stringify({ version: 1, uuid: UUID }),
      JSON.stringify({ version: 1, uuid: UUID, entries: "0x1000" }),
    ];
    for (const text of texts) {
      assertThrows(() => leftOf(folder, text), SyntaxError, "is damaged");
    }
  }));

Deno.test("of the entries those that make sense are taken", () =>
  withFolder((folder) => {
    const good = { address: "0xffffffff80001000", frame: "0x12345" };
    const entries = [
      null,
      5,
      "text",
      [],
      {},
      { address: "0x1000" },
      { address: "x", frame: "0x1" },
      { address: "0x1001", frame: "0x1" },
      { address: 1.5, frame: 1 },
      good,
    ];
    assertEquals(
      leftOf(
        folder,
        JSON.stringify({ version: 1, uuid: UUID, entries, pause: "nap" }),
      ),
      {
        uuid: UUID,
        entries: [{ address: 0xffff_ffff_8000_1000n, frame: 0x12345n }],
      },
    );
  }));

Deno.test("a second monitor in the same process is refused", () =>
  withFolder((folder) => {
    {
      using _first = new Journal(DOMAIN, folder);
      assertThrows(
        () => new Journal(DOMAIN, folder),
        AlreadyGuardedError,
        `process ${Deno.pid}`,
      );
    }
    new Journal(DOMAIN, folder)[Symbol.dispose]();
  }));

Deno.test("a second monitor is refused, with the process that has the lock, until that ends", () =>
  withFolder(async (folder) => {
    for (const how of ["stop", "SIGKILL"] as const) {
      const other = await holder(folder);
      try {
        assertThrows(
          () => new Journal(DOMAIN, folder),
          AlreadyGuardedError,
          `process ${other.pid}`,
        );
      } finally {
        await other.end(how);
      }
      new Journal(DOMAIN, folder)[Symbol.dispose]();
    }
  }));

Deno.test("nothing is left of a monitor that had nothing to undo", () =>
  withFolder((folder) => {
    {
      using journal = new Journal(DOMAIN, folder);
      journal.write(state);
      journal.clear();
    }
    assertEquals([...Deno.readDirSync(folder)], []);
  }));

Deno.test("only the owner may read what is kept", () =>
  withFolder((folder) => {
    const inner = `${folder}/run/xkmon`;
    using journal = new Journal(DOMAIN, inner);
    journal.write(state);
    journal.hold(UUID);
    const files = ["json", "lock", "hold"].map((end) => `${inner}/5.${end}`);
    const modes = [inner, ...files]
      .map((path) => Deno.statSync(path).mode! & 0o777);
    assertEquals(modes, [0o700, 0o600, 0o600, 0o600]);
  }));

Deno.test("a folder that cannot be written is an error, not a monitor without journal", () => {
  const error = assertThrows(() => new Journal(DOMAIN, "/proc/xkmon"));
  assert(error instanceof Error);
});

Deno.test("what keeps a PVH guest from writing is kept, as far as it makes sense", () =>
  withFolder((folder) => {
    const text = (parts: Record<string, unknown>) =>
      JSON.stringify({ version: 1, uuid: UUID, entries: [], ...parts });
    const none = { uuid: UUID, entries: [] };
    {
      using journal = new Journal(DOMAIN, folder);
      journal.write({
        ...none,
        events: true,
        trapped: [0x101n],
        server: 3,
        readOnly: [0x103n, 0x104n],
        dirty: 0x105n,
      });
    }
    {
      using next = new Journal(DOMAIN, folder);
      assertEquals<unknown>(next.left(UUID), {
        ...none,
        events: true,
        trapped: [0x101n],
        server: 3,
        readOnly: [0x103n, 0x104n],
        dirty: 0x105n,
      });
    }
    for (const server of [-1, 65_536, 1.5, "3", null]) {
      assertEquals<unknown>(leftOf(folder, text({ server })), none);
    }
    assertEquals<unknown>(leftOf(folder, text({ events: 1 })), none);
    assertEquals<unknown>(leftOf(folder, text({ readOnly: "0x1" })), none);
    assertEquals<unknown>(
      leftOf(
        folder,
        text({ readOnly: ["0x1", "2", 3, "0x", "0x00000000000001"] }),
      ),
      { ...none, readOnly: [1n] },
    );
  }));
