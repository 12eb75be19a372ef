import { assertEquals } from "@std/assert";
import { SymbolTable } from "../guestos/symbol_table.ts";
import { LivingText } from "./living_text.ts";
import { restoreRegion } from "./restore_region.ts";
import { SyntheticGuest } from "./testing/synthetic_guest.ts";
import { trustRegion } from "./trusted_region.ts";

const TEXT = 0xffff_ffff_8100_0000n;
/** What the kernel writes itself */
const OWN = 0x11;

Deno.test("what the kernel changed itself stays, also between changes that are put back", () => {
  const guest = new SyntheticGuest();
  guest.map(TEXT, new Uint8Array(2 * 4096).fill(0x90));
  const region = trustRegion(guest, {
    name: "kernel text",
    kind: "code",
    start: TEXT,
    size: 2 * 4096,
    living: {
      judge: (start, read) => ({
        start,
        size: 1,
        state: read(start, 1)[0] === OWN
          ? { kind: "own" }
          : { kind: "foreign", summary: "kernel code was changed" },
      }),
    },
  });
  const living = new LivingText(guest, new SymbolTable([]), region);
  guest.write(TEXT + 0xffdn, [0xee, OWN, 0xee]);
  guest.write(TEXT + 0x1000n, [0xee, 0xee]);
  restoreRegion(guest, region, living)(guest);
  assertEquals(
    guest.read(TEXT + 0xffdn, 5),
    Uint8Array.of(0x90, OWN, 0x90, 0x90, 0x90),
  );
  assertEquals(guest.calls, [
    "write ffffffff81000ffd 90",
    "write ffffffff81000fff 90",
    "write ffffffff81001000 9090",
  ]);
});

Deno.test("a region that is as it must be is not written", () => {
  const guest = new SyntheticGuest();
  guest.map(TEXT, new Uint8Array(4096));
  const region = trustRegion(guest, {
    name: "table",
    kind: "data",
    start: TEXT,
    size: 4096,
  });
  restoreRegion(guest, region)(guest);
  assertEquals(guest.calls, []);
});
