import { assertEquals, assertStringIncludes } from "@std/assert";
import { collectEvidence } from "../../detect/evidence/collect_evidence.ts";
import type { Finding } from "../../detect/finding.ts";
import { littleEndian } from "../../detect/little_endian.ts";
import { rules } from "../../detect/rules.ts";
import { finding } from "../../detect/testing/finding.ts";
import {
  guardedKernel,
  PAGE_FAULT,
  TABLE,
  TEXT,
} from "../../detect/testing/guarded_kernel.ts";
import { incidentIn } from "../../detect/testing/incident.ts";
import { renderPage } from "./render_page.ts";
import type { Report } from "./report.ts";

/** The text of a page about some findings, on one line. */
async function pageText(
  findings: readonly Partial<Finding>[],
  parts: Partial<Report> = {},
  change = (_: ReturnType<typeof guardedKernel>) => {},
): Promise<string> {
  const kernel = guardedKernel();
  const { guest, profile } = kernel;
  const incident = incidentIn(guest, profile, findings.map(finding));
  change(kernel);
  const page = renderPage({
    incident,
    evidence: await collectEvidence(guest, profile.symbols, incident),
    xen: { value: "4.17.7" },
    xkmon: "xkmon 0.1.0",
    memory: 32 << 20,
    files: [],
    lacking: [],
    ...parts,
  });
  return page.replace(/<style>.*<\/style>/s, "").replace(/<[^>]*>/g, "")
    .replace(/\s+/g, " ").replaceAll("&gt;", ">").replaceAll("&lt;", "<");
}

Deno.test("a write that was stopped is told with who tried it, and that nothing changed", async () => {
  const text = await pageText([{
    seen: "fault",
    method: "direct write",
    address: TABLE,
    symbol: "sys_call_table",
    summary: "a write was stopped by the read-only page",
    ip: PAGE_FAULT,
    ipSymbol: "page_fault",
    vcpu: 1,
  }]);
  assertStringIncludes(
    text,
    "sys_call_table in sys_call_table: a write was stopped by the read-only " +
      "page, by page_fault on virtual CPU 1.",
  );
  assertStringIncludes(text, "XK-002stopped");
  assertStringIncludes(text, "Memory: as expected, nothing has changed");
});

Deno.test("a changed pointer is told by both its targets and in the bytes", async () => {
  const text = await pageText(
    [{
      address: TABLE,
      expected: littleEndian(TEXT + 0x10n),
      found: littleEndian(TEXT + 0x20n),
    }],
    {},
    ({ guest }) => guest.write(TABLE, [...littleEndian(TEXT + 0x20n)]),
  );
  assertStringIncludes(text, "XK-002landed");
  assertStringIncludes(
    text,
    "ffffffff80000010 sys_ping ffffffff80000020 sys_stop",
  );
  assertStringIncludes(text, "− ffffffff80002000 10 00 00 80 ff ff ff ff");
  assertStringIncludes(text, "+ ffffffff80002000 20 00 00 80 ff ff ff ff");
  assertStringIncludes(text, "The code that it leads to now: sys_stop");
});

Deno.test("an entry of a page table is told by its flags, before and now", async () => {
  const text = await pageText([{
    rule: rules.pageTables,
    seen: "drift",
    drift: "writable",
    address: TEXT,
    expected: littleEndian(0x100_001n),
    found: littleEndian(0x100_003n),
  }]);
  assertStringIncludes(
    text.replaceAll(" ,", ","),
    "page-table entry 0000000000100001read-only",
  );
  assertStringIncludes(text, "0000000000100003writable");
});

Deno.test("what to do fits the state of the guest", async () => {
  const paused = await pageText([{}]);
  assertStringIncludes(paused, "synthetic is paused and stays so");
  assertStringIncludes(paused, "xl unpause 7");
  assertStringIncludes(paused, "xl dump-core 7 7.core");
  const file = { name: "memory.core", size: 1, sha256: "00" };
  const dumped = await pageText([{}], {
    files: [file],
    kernel: { path: "/srv/it's a kernel", sha256: "11" },
  });
  assertEquals(dumped.includes("xl dump-core 7"), false);
  assertStringIncludes(
    dumped,
    "xkmon scan --core memory.core --kernel &#39;/srv/it&#39;\\&#39;&#39;s a " +
      "kernel&#39;",
  );
});

Deno.test("what was too much is counted", async () => {
  const text = await pageText(Array.from({ length: 100 }, () => ({})));
  assertStringIncludes(text, "68 more findings were not examined.");
});

Deno.test("of a guest that ran on it is not said that it was paused", async () => {
  const { guest, profile } = guardedKernel();
  const text = await pageText([{}], {
    incident: {
      ...incidentIn(guest, profile, [finding({})]),
      response: "dump+report",
      standsStill: false,
      staysPaused: false,
    },
  });
  assertStringIncludes(text, "It ran on while this was written");
  assertStringIncludes(text, "with the guest running");
  assertEquals(text.includes("was paused while"), false);
});
