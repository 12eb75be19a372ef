import { assertEquals } from "@std/assert";
import { compareRegion, findDifferences } from "./differences.ts";
import type { Finding } from "./finding.ts";
import { rules } from "./rules.ts";
import { guardedKernel, TABLE, TEXT } from "./testing/guarded_kernel.ts";
import { trustedRegions } from "./testing/trusted_regions.ts";

/** Differences of 100 zero bytes from the same with ones at some positions. */
function runs(...positions: number[]): [number, number][] {
  const found = new Uint8Array(100);
  for (const at of positions) found[at] = 1;
  return findDifferences(new Uint8Array(100), found).map((
    { offset, length },
  ) => [offset, length]);
}

/** All that is told of a region after a change of the guest. */
function compareAll(
  change: (kernel: ReturnType<typeof guardedKernel>) => void,
  name = "kernel text",
) {
  const kernel = guardedKernel();
  const region = trustedRegions(kernel).find((region) => region.name === name)!;
  change(kernel);
  const { guest, profile } = kernel;
  return [
    ...compareRegion(
      guest,
      profile.symbols,
      region,
      rules.kernelText,
      "something was changed",
    ),
  ];
}

/** The findings among that. */
function compare(...args: Parameters<typeof compareAll>): Finding[] {
  return compareAll(...args).flatMap((told) => "reason" in told ? [] : [told]);
}

Deno.test("equal bytes have no differences", () => {
  assertEquals(runs(), []);
  assertEquals(findDifferences(new Uint8Array(), new Uint8Array()), []);
});

Deno.test("differences are found at both ends", () => {
  assertEquals(runs(0, 99), [[0, 1], [99, 1]]);
});

Deno.test("bytes that lie close together are one change", () => {
  assertEquals(runs(10, 11, 12), [[10, 3]]);
  assertEquals(runs(10, 26), [[10, 17]]);
  assertEquals(runs(10, 27), [[10, 1], [27, 1]]);
});

Deno.test("a region that is as it must be gives nothing", () => {
  assertEquals(compare(() => {}), []);
});

Deno.test("a change is told with its bytes and its symbol", () => {
  const found = compare(({ guest }) => guest.write(TEXT + 0x25n, [0, 0]));
  assertEquals(found.length, 1);
  const [{ address, symbol, expected, found: bytes, what, seen, summary }] =
    found as [typeof found[0] & object];
  assertEquals(
    [address, symbol, what, seen, summary],
    [
      TEXT + 0x25n,
      "sys_stop+0x5",
      "kernel text",
      "compare",
      "something was changed",
    ],
  );
  assertEquals(expected, Uint8Array.of(0x25 * 31, 0x26 * 31));
  assertEquals(bytes, Uint8Array.of(0, 0));
});

Deno.test("changes of later pages are found at their own addresses", () => {
  const found = compare(({ guest }) => {
    guest.write(TEXT + 0x10n, [0]);
    guest.write(TEXT + 0x1fffn, [0x55]);
  });
  assertEquals(found.map(({ address }) => address), [
    TEXT + 0x10n,
    TEXT + 0x1fffn,
  ]);
});

Deno.test("of data the whole 8-byte words are told", () => {
  const found = compare(
    ({ guest }) => guest.write(TABLE + 9n, [0xee]),
    "sys_call_table",
  );
  assertEquals(found.map(({ address, found }) => [address, found?.length]), [
    [TABLE + 8n, 8],
  ]);
  assertEquals(
    new DataView(found[0]!.expected!.buffer).getBigUint64(0, true),
    TEXT + 0x20n,
  );
});

Deno.test("of a long change the first 64 bytes are told", () => {
  const [found] = compare(({ guest }) =>
    guest.write(TEXT, new Array(4096).fill(0xaa))
  );
  assertEquals(found!.found, new Uint8Array(64).fill(0xaa));
  assertEquals(found!.expected!.length, 64);
});

Deno.test("of many changes the first 16 are told, and that there are more", () => {
  const found = compare(({ guest }) => {
    for (let at = 0n; at < 20n; at++) {
      const address = TEXT + at * 0x100n;
      guest.write(address, [guest.read(address, 1)[0]! ^ 1]);
    }
  });
  assertEquals(found.length, 17);
  assertEquals(found.at(-2)!.address, TEXT + 0xf00n);
  assertEquals(found.at(-1)!.summary.startsWith("more than 16"), true);
});

Deno.test("another content at the same place is another state", () => {
  const keys = [[1], [2], [1]].map((bytes) =>
    compare(({ guest }) => guest.write(TEXT + 0x25n, bytes))[0]!.key
  );
  assertEquals(keys[0], keys[2]);
  assertEquals(new Set(keys).size, 2);
});

Deno.test("a page that is not mapped hides no change of another", () => {
  const [finding, unreadable, ...rest] = compareAll(({ guest }) => {
    guest.unmap(TEXT + 0x1000n);
    guest.write(TEXT + 0x25n, [0, 0]);
  });
  assertEquals([finding!.address, "reason" in finding!], [
    TEXT + 0x25n,
    false,
  ]);
  assertEquals([unreadable!.address, "reason" in unreadable!], [
    TEXT + 0x1000n,
    true,
  ]);
  assertEquals(rest, []);
});

Deno.test("pages that are not mapped are told together", () => {
  const told = compareAll(({ guest }) => {
    guest.unmap(TEXT);
    guest.unmap(TEXT + 0x1000n);
  });
  assertEquals(
    told.map((one) => "reason" in one ? one.reason : one.summary),
    ["not-present, as are 1 other pages"],
  );
});
