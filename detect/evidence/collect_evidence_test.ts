import { assert, assertEquals } from "@std/assert";
import { finding } from "../testing/finding.ts";
import {
  guardedKernel,
  PAGE_FAULT,
  SCRATCH,
  TABLE,
  TEXT,
} from "../testing/guarded_kernel.ts";
import { incidentIn } from "../testing/incident.ts";
import { littleEndian } from "../little_endian.ts";
import { rules } from "../rules.ts";
import { collectEvidence } from "./collect_evidence.ts";
import type { Part } from "./part.ts";

/** What was gathered; the test fails if it was not. */
function valueOf<T>(part: Part<T> | undefined): T {
  assert(part !== undefined);
  assert("value" in part, "missing" in part ? part.missing : undefined);
  return part.value;
}

function reasonOf<T>(part: Part<T> | undefined): string {
  assert(part !== undefined && "missing" in part);
  return part.missing;
}

const redirected = finding({
  address: TABLE,
  expected: littleEndian(TEXT + 0x10n),
  found: littleEndian(TEXT + 0x20n),
});

function kernelWithRedirection() {
  const kernel = guardedKernel();
  // push %rbp; mov %rsp,%rbp; ret
  kernel.guest.write(TEXT + 0x20n, [0x55, 0x48, 0x89, 0xe5, 0xc3]);
  const incident = incidentIn(kernel.guest, kernel.profile, [redirected]);
  kernel.guest.write(TABLE, [...littleEndian(TEXT + 0x20n)]);
  const collect = () =>
    collectEvidence(kernel.guest, kernel.profile.symbols, incident);
  return { ...kernel, incident, collect };
}

Deno.test("a redirected pointer is told by both its targets, with the code that it leads to", async () => {
  const { findings: [examined] } = await kernelWithRedirection().collect();
  const [word] = examined!.words;
  assertEquals(word?.symbol, "sys_call_table");
  assertEquals(word?.expected.symbol, "sys_ping");
  assertEquals(word?.found.symbol, "sys_stop");
  assertEquals(
    valueOf(word?.code).slice(0, 3).map(({ text, symbol }) => [symbol, text]),
    [
      ["sys_stop", "push %rbp"],
      ["sys_stop+0x1", "mov %rsp,%rbp"],
      ["sys_stop+0x4", "ret"],
    ],
  );
});

Deno.test("the bytes around are those of the trusted copy and of the guest", async () => {
  const { findings: [examined], pages } = await kernelWithRedirection()
    .collect();
  const { start, expected, found } = examined!.bytes!;
  assertEquals(start, TABLE);
  assertEquals(valueOf(expected).at(0), 0x10);
  assertEquals(valueOf(found).at(0), 0x20);
  assertEquals(valueOf(expected).subarray(8), valueOf(found).subarray(8));
  const [page, ...others] = pages;
  assertEquals(others, []);
  assertEquals(page!.address, TABLE);
  assertEquals(page!.trusted?.at(0), 0x10);
  assertEquals(valueOf(page!.found).at(0), 0x20);
});

Deno.test("changed code is disassembled from its function on, before and now", async () => {
  const { guest, profile } = guardedKernel();
  const address = TEXT + 0x201n;
  const text = profile.regions[0]!.trusted!;
  text.set([0x55, 0x48, 0x89, 0xe5, 0xc3], 0x200);
  guest.write(PAGE_FAULT, [0x55, 0xeb, 0xfe, 0x90, 0xc3]);
  const incident = incidentIn(guest, profile, [
    finding({
      rule: rules.kernelText,
      address,
      expected: text.slice(0x201, 0x204),
      found: new Uint8Array([0xeb, 0xfe, 0x90]),
    }),
  ]);
  const { findings: [examined] } = await collectEvidence(
    guest,
    profile.symbols,
    incident,
  );
  const shown = (part: Part<readonly { text: string; marked: boolean }[]>) =>
    valueOf(part).slice(0, 4).map(({ text, marked }) =>
      marked ? `! ${text}` : text
    );
  assertEquals(shown(examined!.code!.expected).slice(0, 3), [
    "push %rbp",
    "! mov %rsp,%rbp",
    "ret",
  ]);
  assertEquals(shown(examined!.code!.found), [
    "push %rbp",
    "! jmp 0xffffffff80000201",
    "! nop",
    "ret",
  ]);
});

Deno.test("a virtual CPU shows its registers and its stack with their symbols", async () => {
  const { guest, collect } = kernelWithRedirection();
  guest.write(SCRATCH + 0x100n, [...littleEndian(PAGE_FAULT + 4n)]);
  guest.registerValues = { rsp: SCRATCH + 0x100n, rax: TABLE, rcx: 7n };
  const [cpu] = valueOf((await collect()).cpus);
  const registers = valueOf(cpu!.registers);
  const symbolOf = (name: string) =>
    registers.find((register) => register.name === name)?.symbol;
  assertEquals(symbolOf("rax"), "sys_call_table");
  assertEquals(symbolOf("rcx"), undefined);
  assertEquals(
    valueOf(cpu!.stack).find(({ address }) => address === SCRATCH + 0x100n),
    {
      address: SCRATCH + 0x100n,
      value: PAGE_FAULT + 4n,
      symbol: "page_fault+0x4",
    },
  );
});

Deno.test("a stack is shown as far as it can be read", async () => {
  const { guest, collect } = kernelWithRedirection();
  guest.registerValues = { rsp: SCRATCH + 0xff0n };
  const [cpu] = valueOf((await collect()).cpus);
  assertEquals(valueOf(cpu!.stack).at(-1)?.address, SCRATCH + 0xff8n);
});

Deno.test("a virtual CPU in a program has no kernel stack to show", async () => {
  const { guest, collect } = kernelWithRedirection();
  guest.registerValues = { rsp: 0x7fff_0000n };
  const [cpu] = valueOf((await collect()).cpus);
  assertEquals(reasonOf(cpu!.stack), "the stack pointer is not the kernel's");
  assertEquals(reasonOf(cpu!.code), "it runs a program, not the kernel");
});

Deno.test("what cannot be read is told, and the rest is there", async () => {
  const { guest, collect } = kernelWithRedirection();
  guest.unmap(TABLE);
  const { findings: [examined], pages: [page] } = await collect();
  assertEquals(
    reasonOf(examined!.bytes!.found),
    "Guest memory at 0xffffffff80002000 is unreadable: not-present",
  );
  assertEquals(valueOf(examined!.bytes!.expected).at(0), 0x10);
  assertEquals(reasonOf(page!.found), reasonOf(examined!.bytes!.found));
  assertEquals(valueOf(examined!.walk).kind, "not-present");
  assertEquals(examined!.words.length, 1);
});

Deno.test("a guest that is gone leaves what the finding itself tells", async () => {
  const { guest, collect } = kernelWithRedirection();
  const gone = () => {
    throw new Error("synthetic is gone\nand more");
  };
  Object.assign(guest, {
    refresh: gone,
    registers: gone,
    read: gone,
    walk: gone,
  });
  const { cpus, findings: [examined] } = await collect();
  assertEquals(reasonOf(cpus), "synthetic is gone");
  assertEquals(examined!.words[0]?.found.symbol, "sys_stop");
});

Deno.test("however many findings, pages and CPUs there are, what is kept is bounded", async () => {
  const { guest, profile, incident } = kernelWithRedirection();
  const many = Array.from(
    { length: 1000 },
    (_, page) => finding({ address: TEXT + BigInt(page) * 4096n }),
  );
  guest.cpus = Array.from(
    { length: 500 },
    (_, vcpu) => ({ ...guest.cpus[0]!, vcpu }),
  );
  const evidence = await collectEvidence(guest, profile.symbols, {
    ...incident,
    findings: many,
  });
  assertEquals(evidence.findings.length + evidence.moreFindings, 1000);
  assert(evidence.findings.length <= 64);
  const cpus = valueOf(evidence.cpus).length;
  assertEquals(cpus + evidence.moreCpus, 500);
  assert(cpus <= 64);
  assertEquals(evidence.pages.length, 64);
  assertEquals(evidence.morePages, true);
});

Deno.test("what is no memory of the kernel is not read as if it were", async () => {
  const { guest, profile, incident } = kernelWithRedirection();
  const { findings: [examined], pages } = await collectEvidence(
    guest,
    profile.symbols,
    {
      ...incident,
      findings: [finding({
        rule: rules.controlRegisters,
        seen: "drift",
        address: 0x8005_0033n,
        expected: littleEndian(0x8005_0033n),
        found: littleEndian(0x8004_0033n),
      })],
    },
  );
  assertEquals(pages, []);
  assertEquals(examined!.bytes, undefined);
  assertEquals(examined!.words.map(({ expected }) => expected.value), [
    0x8005_0033n,
  ]);
});
