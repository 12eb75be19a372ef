import { assertEquals } from "@std/assert";
import { SymbolTable } from "../guestos/symbol_table.ts";
import type { RegisterChange } from "../xen/protection.ts";
import { judgeRegisterChange } from "./register_change.ts";

const ENTRY = 0xffff_ffff_8180_0000n;
const ROGUE = 0xffff_ffff_c000_0010n;
const WP = 1n << 16n;
const UMIP = 1n << 11n;
const SMEP = 1n << 20n;
const SMAP = 1n << 21n;
/** A bit that protects nothing: global pages */
const PGE = 1n << 7n;

const symbols = new SymbolTable([
  { name: "entry_SYSCALL_64", address: ENTRY, size: 64 },
]);
const entryPoints = {
  lstar: [ENTRY],
  cstar: [ENTRY, 0n],
  sysenterIp: [ENTRY, 0n],
};

function judge(
  register: RegisterChange["register"],
  before: bigint,
  value: bigint,
  known = true,
) {
  return judgeRegisterChange(symbols, known ? entryPoints : undefined, {
    vcpu: 1,
    ip: ENTRY + 4n,
    register,
    before,
    value,
  });
}

Deno.test("a protection that goes off is told with all that the change says", () => {
  const finding = judge("cr0", WP | 1n, 1n);
  assertEquals(finding?.expected?.toHex(), "0100010000000000");
  assertEquals(finding?.attempted?.toHex(), "0100000000000000");
  assertEquals(
    [finding?.rule.id, finding?.seen, finding?.symbol, finding?.ipSymbol],
    ["XK-013", "stop", "CR0 of vCPU 1", "entry_SYSCALL_64+0x4"],
  );
  assertEquals(
    finding?.summary,
    "CR0.WP was to be cleared on vCPU 1, and is not",
  );
});

Deno.test("each bit that protects is told, and all that go off at once", () => {
  const all = UMIP | SMEP | SMAP;
  const cleared = (value: bigint) => judge("cr4", all | PGE, value)?.what;
  assertEquals(cleared(SMEP | SMAP), "CR4.UMIP");
  assertEquals(cleared(UMIP | SMAP), "CR4.SMEP");
  assertEquals(cleared(UMIP | SMEP), "CR4.SMAP");
  assertEquals(cleared(UMIP), "CR4.SMEP, CR4.SMAP");
});

Deno.test("what goes on, was off, or protects nothing may change", () => {
  assertEquals(judge("cr0", 1n, WP | 1n), undefined);
  assertEquals(judge("cr0", 0n, 1n), undefined);
  assertEquals(judge("cr4", SMEP | PGE, SMEP), undefined);
  assertEquals(judge("cr4", 0n, SMEP), undefined);
});

Deno.test("system calls may enter where the kernel means them to, and nowhere else", () => {
  assertEquals(judge("lstar", 0n, ENTRY), undefined);
  assertEquals(judge("cstar", ENTRY, 0n), undefined);
  for (
    const [register, name] of [
      ["lstar", "LSTAR"],
      ["cstar", "CSTAR"],
      ["sysenterIp", "SYSENTER_EIP"],
    ] as const
  ) {
    const finding = judge(register, ENTRY, ROGUE);
    assertEquals(
      [finding?.rule.id, finding?.what, finding?.address],
      ["XK-012", name, ROGUE],
    );
  }
  assertEquals(judge("lstar", ENTRY, 0n)?.rule.id, "XK-012");
});

Deno.test("where nobody knows where system calls enter, they may enter anywhere", () => {
  assertEquals(judge("lstar", ENTRY, ROGUE, false), undefined);
});
