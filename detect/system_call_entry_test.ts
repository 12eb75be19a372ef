import { assertEquals } from "@std/assert";
import { SymbolTable } from "../guestos/symbol_table.ts";
import { SystemCallEntry } from "./system_call_entry.ts";
import { hvmCpu } from "./testing/hvm_cpu.ts";
import { KernelGuest } from "./testing/kernel_guest.ts";

const ENTRY = 0xffff_ffff_8180_0000n;
const COMPAT = 0xffff_ffff_8180_1000n;
const SYSENTER = 0xffff_ffff_8180_2000n;
const ROGUE = 0xffff_ffff_c000_0010n;

const GOOD = { star: 0n, lstar: ENTRY, cstar: COMPAT, sysenterIp: SYSENTER };

function setUp() {
  const guest = new KernelGuest();
  const entry = new SystemCallEntry(
    guest,
    new SymbolTable([
      { name: "entry_SYSCALL_64", address: ENTRY, size: 64 },
      { name: "entry_SYSCALL_compat", address: COMPAT, size: 64 },
    ]),
    { lstar: [ENTRY], cstar: [COMPAT, 0n], sysenterIp: [SYSENTER, 0n] },
  );
  return {
    guest,
    entry,
    look: (...msrs: readonly typeof GOOD[]) => {
      guest.setCpus(msrs.map((msrs, vcpu) => hvmCpu({ vcpu, msrs })));
      return entry.check().map(({ what, summary }) => [what, summary]);
    },
  };
}

Deno.test("system calls that enter where they may give no finding", () => {
  const { look } = setUp();
  assertEquals(look(GOOD, { ...GOOD, cstar: 0n, sysenterIp: 0n }), []);
});

Deno.test("each register that leads elsewhere is told", () => {
  const { look } = setUp();
  const rogue = "0xffffffffc0000010";
  assertEquals(look(GOOD, { ...GOOD, lstar: ROGUE }), [
    ["LSTAR", `LSTAR of vCPU 1 leads to ${rogue} and not to entry_SYSCALL_64`],
  ]);
  assertEquals(look({ ...GOOD, cstar: ROGUE }), [[
    "CSTAR",
    `CSTAR of vCPU 0 leads to ${rogue} and not to entry_SYSCALL_compat`,
  ]]);
  assertEquals(look({ ...GOOD, sysenterIp: ROGUE }).map(([what]) => what), [
    "SYSENTER_EIP",
  ]);
});

Deno.test("an entry that another register may have is no entry of this one", () => {
  const { look } = setUp();
  assertEquals(
    look({ ...GOOD, lstar: COMPAT, cstar: ENTRY }).map(([what]) => what),
    ["LSTAR", "CSTAR"],
  );
  assertEquals(look({ ...GOOD, lstar: 0n }).map(([what]) => what), ["LSTAR"]);
  assertEquals(look({ ...GOOD, lstar: ENTRY + 4n }), [[
    "LSTAR",
    "LSTAR of vCPU 0 leads to entry_SYSCALL_64+0x4 and not to entry_SYSCALL_64",
  ]]);
});

Deno.test("a finding shows both addresses, and its key the wrong one", () => {
  const { guest, entry } = setUp();
  guest.setCpus([hvmCpu({ msrs: { ...GOOD, lstar: ROGUE } })]);
  const [finding] = entry.check();
  assertEquals(
    [finding?.expected?.toHex(), finding?.found?.toHex(), finding?.key],
    [
      "00008081ffffffff",
      "100000c0ffffffff",
      "XK-012 0 LSTAR ffffffffc0000010",
    ],
  );
});

Deno.test("a processor whose registers are not known, and a PV one, are not judged", () => {
  const { guest, entry } = setUp();
  assertEquals(entry.check(), []);
  guest.setCpus([hvmCpu()]);
  assertEquals(entry.check(), []);
});
