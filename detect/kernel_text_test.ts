import { assertEquals } from "@std/assert";
import { elfHash } from "./elf_hash.ts";
import { KernelText } from "./kernel_text.ts";
import { guardedKernel, TABLE, TEXT } from "./testing/guarded_kernel.ts";
import { trustedRegions } from "./testing/trusted_regions.ts";

function setUp() {
  const kernel = guardedKernel();
  const regions = trustedRegions(kernel);
  const { guest, profile } = kernel;
  return {
    ...kernel,
    regions,
    text: new KernelText(guest, profile.symbols, regions),
  };
}

Deno.test("code that is as it must be gives no finding in any pass", () => {
  const { text } = setUp();
  assertEquals([...text.check(false)], []);
  assertEquals([...text.check(true)], []);
});

Deno.test("one changed byte of the code is found", () => {
  const { guest, text } = setUp();
  guest.write(TEXT + 0x1abcn, [0xcc]);
  const told = [...text.check(false)];
  assertEquals(
    told.map((
      told,
    ) => [told.rule.id, "what" in told && told.what, told.address]),
    [
      ["XK-001", "kernel text", TEXT + 0x1abcn],
    ],
  );
});

Deno.test("data is left to another rule", () => {
  const { guest, text } = setUp();
  guest.write(TABLE, [0xcc]);
  assertEquals([...text.check(true)], []);
});

Deno.test("a full pass finds by hash what the copy in our memory hides", () => {
  const { guest, regions, text } = setUp();
  const expected = regions[0]!.pageHashes[1]!;
  guest.write(TEXT + 0x1004n, [0xcc]);
  regions[0]!.trusted[0x1004] = 0xcc;
  assertEquals([...text.check(false)], []);
  const told = [...text.check(true)];
  const found = elfHash(guest.read(TEXT + 0x1000n, 4096));
  assertEquals(told.map(({ address }) => address), [TEXT + 0x1000n]);
  assertEquals(
    "summary" in told[0]! && told[0].summary,
    `ELFHash of the page was ${expected.toString(16)}, is ${
      found.toString(16)
    }`,
  );
});

Deno.test("code that is not mapped cannot be told", () => {
  const { guest, text } = setUp();
  guest.unmap(TEXT);
  assertEquals([...text.check(false)], [{
    rule: text.rule,
    what: "_text",
    address: TEXT,
    reason: "not-present",
  }]);
});
