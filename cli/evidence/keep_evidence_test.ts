import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { finding } from "../../detect/testing/finding.ts";
import {
  guardedKernel,
  TABLE,
  TEXT,
} from "../../detect/testing/guarded_kernel.ts";
import { incidentIn } from "../../detect/testing/incident.ts";
import { littleEndian } from "../../detect/little_endian.ts";
import { SymbolTable } from "../../guestos/symbol_table.ts";
import { type EvidenceSource, keepEvidence } from "./keep_evidence.ts";

const HOSTILE = `<script>alert("1")</script><img src=x onerror='a'>\u202e`;

/** A redirected pointer in a guest, and what its evidence comes from. */
function incident(
  parts: Partial<EvidenceSource> = {},
) {
  const { guest, profile } = guardedKernel();
  const redirected = finding({
    address: TABLE,
    expected: littleEndian(TEXT + 0x10n),
    found: littleEndian(TEXT + 0x20n),
  });
  const incident = incidentIn(guest, profile, [redirected]);
  guest.write(TABLE, [...littleEndian(TEXT + 0x20n)]);
  const source: EvidenceSource = {
    guest,
    symbols: profile.symbols,
    memory: 4096,
    xenVersion: () => "4.17.7",
    dumpCore: (path: string) => Deno.writeTextFile(path, "the core"),
    ...parts,
  };
  return { guest, source, incident };
}

async function withFolder(
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function sha256(path: string): string {
  const hash = process.getBuiltinModule("node:crypto").createHash("sha256");
  return hash.update(Deno.readFileSync(path)).digest("hex");
}

function filesIn(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
}

Deno.test("an incident's folder has its page, its facts, the pages and the memory, for the owner only", () =>
  withFolder(async (folder) => {
    const { source, incident: what } = incident();
    const path = await keepEvidence(source, what, `${folder}/incidents`);
    assertEquals(
      path,
      `${folder}/incidents/synthetic-7-2026-11-29T10-20-30.123Z-XK-002`,
    );
    assertEquals(filesIn(path), [
      "found-ffffffff80002000.bin",
      "incident.html",
      "incident.json",
      "memory.core",
      "trusted-ffffffff80002000.bin",
    ]);
    const mode = (of: string) => Deno.statSync(of).mode! & 0o777;
    assertEquals([mode(path), mode(`${folder}/incidents`)], [0o700, 0o700]);
    for (const name of ["incident.html", "incident.json"]) {
      assertEquals(mode(`${path}/${name}`), 0o600, name);
    }
    const found = Deno.readFileSync(`${path}/found-ffffffff80002000.bin`);
    const trusted = Deno.readFileSync(`${path}/trusted-ffffffff80002000.bin`);
    assertEquals([found.length, found[0]], [4096, 0x20]);
    assertEquals([trusted.length, trusted[0]], [4096, 0x10]);
  }));

Deno.test("the page lists the other files with their digests", () =>
  withFolder(async (folder) => {
    const { source, incident: what } = incident();
    const path = await keepEvidence(source, what, folder);
    const page = await Deno.readTextFile(`${path}/incident.html`);
    for (const name of filesIn(path)) {
      if (name === "incident.html") continue;
      assertMatch(
        page,
        new RegExp(
          `>${name}</a></td>[^/]*</td>\\s*<td>${sha256(`${path}/${name}`)}<`,
        ),
      );
    }
    assert(!page.includes("being written"));
  }));

Deno.test("what the page says, the file for machines says too", () =>
  withFolder(async (folder) => {
    const { source, incident: what } = incident({
      kernel: { path: "/boot/kernel", sha256: "ab".repeat(32) },
    });
    const path = await keepEvidence(source, what, folder);
    const facts = JSON.parse(await Deno.readTextFile(`${path}/incident.json`));
    assertEquals(facts.format, 1);
    assertEquals(facts.time, "2026-11-29T10:20:30.123Z");
    assertEquals(facts.findings[0].words[0].found, {
      value: "0xffffffff80000020",
      symbol: "sys_stop",
    });
    assertEquals(facts.kernel.path, "/boot/kernel");
    assertEquals(facts.regions[0].rung, "poll");
    assertEquals(facts.xen, { value: "4.17.7" });
    assertEquals(facts.cpus.value[0].registers.value[0].name, "rip");
  }));

Deno.test("the page needs nothing but itself, and no script", () =>
  withFolder(async (folder) => {
    const { source, incident: what } = incident();
    const path = await keepEvidence(source, what, folder);
    const page = await Deno.readTextFile(`${path}/incident.html`);
    assertMatch(
      page,
      /<meta http-equiv="Content-Security-Policy"\s+content="default-src 'none'; style-src 'unsafe-inline'">/,
    );
    assertEquals(
      page.match(/<script|<link|<img|@import|url\(|https?:/gi),
      null,
    );
  }));

Deno.test("strings of the guest stay strings, wherever they come from", () =>
  withFolder(async (folder) => {
    const { source, incident: what } = incident({
      symbols: new SymbolTable([
        { name: `sys_${HOSTILE}`, address: TEXT + 0x20n, size: 16 },
        { name: `table_${HOSTILE}`, address: TABLE, size: 16 },
      ]),
      xenVersion: () => HOSTILE,
      kernel: { path: HOSTILE, sha256: HOSTILE },
      dumpCore: () => Promise.reject(new Error(HOSTILE)),
    });
    const [found] = what.findings;
    const hostile = {
      what: HOSTILE,
      symbol: HOSTILE,
      summary: HOSTILE,
      ip: TEXT + 0x20n,
      ipSymbol: HOSTILE,
    };
    const path = await keepEvidence(source, {
      ...what,
      os: HOSTILE,
      domain: { id: 7, name: HOSTILE, uuid: HOSTILE },
      response: HOSTILE,
      standsStill: true,
      staysPaused: false,
      findings: [{ ...found!, ...hostile }],
      regions: what.regions.map(({ region, rung }) => ({
        region: { ...region, name: HOSTILE },
        rung,
      })),
    }, folder);
    const page = await Deno.readTextFile(`${path}/incident.html`);
    assert(page.split("&lt;script&gt;").length > 10);
    assertEquals(page.match(/<script|<img|\u202e/g), null);
  }));

Deno.test("a guest's name is no path, and no option", () =>
  withFolder(async (folder) => {
    const { source, incident: what } = incident();
    for (
      const [name, kept] of [
        ["../../etc", "_._.._etc"],
        ["-rf", "_rf"],
        ["a b/\0c", "a_b__c"],
        ["", "_"],
        ["x".repeat(999), "x".repeat(64)],
      ] as const
    ) {
      const domain = { ...what.domain, name };
      const path = await keepEvidence(source, { ...what, domain }, folder);
      assertEquals(
        path,
        `${folder}/${kept}-7-2026-11-29T10-20-30.123Z-XK-002`,
      );
    }
  }));

Deno.test("incidents of the same moment do not share a folder", () =>
  withFolder(async (folder) => {
    const { source, incident: what } = incident();
    const first = await keepEvidence(source, what, folder);
    const second = await keepEvidence(source, what, folder);
    assertEquals(second, `${first}-2`);
    assertEquals(filesIn(second), filesIn(first));
  }));

Deno.test("without xl there is no core, and the page says why", () =>
  withFolder(async (folder) => {
    const { source, incident: what } = incident({
      dumpCore: () => Promise.reject(new Deno.errors.NotFound("no xl here")),
    });
    const path = await keepEvidence(source, what, folder);
    assert(!filesIn(path).includes("memory.core"));
    const page = await Deno.readTextFile(`${path}/incident.html`);
    assertStringIncludes(page, "<b>memory.core</b> is not there: no xl here");
    assertStringIncludes(page, "xl dump-core 7 ");
  }));

Deno.test("half a core is no core", () =>
  withFolder(async (folder) => {
    const { source, incident: what } = incident({
      dumpCore: async (path) => {
        await Deno.writeTextFile(path, "half");
        throw new Error("xl dump-core: it broke");
      },
    });
    const path = await keepEvidence(source, what, folder);
    assert(!filesIn(path).includes("memory.core"));
  }));

Deno.test("a guest larger than the free disk is not dumped", () =>
  withFolder(async (folder) => {
    const { source, incident: what } = incident({
      memory: 2 ** 50,
      dumpCore: () => Promise.reject(new Error("it was tried")),
    });
    const path = await keepEvidence(source, what, folder);
    const page = await Deno.readTextFile(`${path}/incident.html`);
    assertMatch(page, /<b>memory.core<\/b> is not there: too little room: /);
  }));

Deno.test("a page of the guest that cannot be read is told, and the others are kept", () =>
  withFolder(async (folder) => {
    const { guest, source, incident: what } = incident();
    guest.unmap(TABLE);
    const path = await keepEvidence(source, what, folder);
    assertEquals(filesIn(path), [
      "incident.html",
      "incident.json",
      "memory.core",
      "trusted-ffffffff80002000.bin",
    ]);
    const page = await Deno.readTextFile(`${path}/incident.html`);
    assertStringIncludes(
      page,
      "<b>found-ffffffff80002000.bin</b> is not there",
    );
  }));

/** Runs with a file system of its own, of some KiB. */
async function withSmallDisk(
  size: number,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const run = async (command: string, ...args: string[]) => {
      const { success } = await new Deno.Command(command, { args }).output();
      assert(success, command);
    };
    await run("mount", "-t", "tmpfs", "-o", `size=${size}k`, "none", folder);
    try {
      await use(folder);
    } finally {
      await run("umount", folder);
    }
  });
}

const mayMount = Deno.uid() === 0;

Deno.test({
  name:
    "on a disk that becomes full there is a page, and it says what is missing",
  ignore: !mayMount,
  fn: () =>
    withSmallDisk(256, async (folder) => {
      const { source, incident: what } = incident({ memory: 0 });
      const path = await keepEvidence(
        {
          ...source,
          dumpCore: (path) =>
            Deno.writeFile(path, new Uint8Array(1 << 20).fill(1)),
        },
        what,
        folder,
      );
      assert(!filesIn(path).includes("memory.core"));
      const page = await Deno.readTextFile(`${path}/incident.html`);
      assertMatch(page, /<b>memory.core<\/b> is not there: .*[Nn]o space left/);
      assertMatch(page, /<\/html>\s*$/);
    }),
});

Deno.test({
  name: "on a full disk nothing is kept, and that is said",
  ignore: !mayMount,
  fn: () =>
    withSmallDisk(64, async (folder) => {
      const { source, incident: what } = incident();
      const filling = new Uint8Array(1 << 20).fill(1);
      await assertRejects(() => Deno.writeFile(`${folder}/filling`, filling));
      const error = await assertRejects(() =>
        keepEvidence(source, what, folder)
      );
      assertMatch((error as Error).message, /[Nn]o space left/);
      assertEquals(filesIn(folder), ["filling"]);
    }),
});
