import { assert, assertEquals, assertMatch } from "@std/assert";
import type { PrintedFinding } from "./printed_event.ts";
import type { SimpleOSFile } from "./simpleos_file.ts";

/** Bits of a page-table entry */
const WRITABLE = 0x2n;
const ACCESSED_AND_DIRTY = 0x60n;
const FRAME = 0x000f_ffff_ffff_f000n;

function wordOf(hex: string | undefined): bigint {
  assertMatch(`${hex}`, /^[0-9a-f]{16}$/);
  const bytes = Uint8Array.fromHex(hex!);
  return new DataView(bytes.buffer).getBigUint64(0, true);
}

/** The entries that a finding shows differ in what it says, and in no more. */
function assertEntries({ drift, expected, found }: PrintedFinding): void {
  const change = (wordOf(expected) ^ wordOf(found)) & ~ACCESSED_AND_DIRTY;
  if (drift === "writable") {
    assertEquals([change, wordOf(found) & WRITABLE], [WRITABLE, WRITABLE]);
  } else {
    assert(change !== 0n && (change & ~FRAME) === 0n, `${expected} ${found}`);
  }
}

/** The instruction lies where its name says, and in that function. */
function assertInstruction(
  { ip, ipSymbol }: PrintedFinding,
  file: SimpleOSFile,
): void {
  const { address, size } = file.symbol(ipSymbol!.split("+")[0]!);
  assertEquals(BigInt(ip!), file.address(ipSymbol!));
  assert(BigInt(ip!) >= address && BigInt(ip!) < address + BigInt(size));
}

/**
 * Asserts what holds of every finding on SimpleOS: its technique has an id,
 * its addresses are those of the symbols it names, and its bytes bear out what
 * it says.
 */
export function assertEvidence(
  finding: PrintedFinding,
  file: SimpleOSFile,
): void {
  const { rule, seen, drift, symbol, address, expected, found } = finding;
  assertMatch(rule.technique.id, /^T\d{4}(\.\d{3})?$/);
  assertMatch(address, /^0x[0-9a-f]{16}$/);
  // What lies in no symbol has its address for a name
  const named = symbol.startsWith("0x") ? BigInt(symbol) : file.address(symbol);
  assertEquals(BigInt(address), named, symbol);
  // What a processor stops it tells without the bytes
  const shown = seen === "stop" ? finding.attempted ?? expected : found;
  assertEquals(shown?.length, expected?.length);

  const hasEntries = expected !== undefined;
  if (hasEntries && (drift === "writable" || drift === "swapped")) {
    assertEntries(finding);
  }
  if (seen === "stop") {
    assertInstruction(finding, file);
    return;
  }
  if (seen !== "fault") {
    assertEquals([finding.ip, finding.ipSymbol], [undefined, undefined]);
    return;
  }
  assertInstruction(finding, file);
  // The write was stopped: what is there is what was there
  assertMatch(`${found}`, /^([0-9a-f]{2})+$/);
  assertEquals(found, expected);
}
