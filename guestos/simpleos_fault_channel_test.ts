import { assert, assertEquals, assertThrows } from "@std/assert";
import { simpleosFaultChannel } from "./simpleos_fault_channel.ts";
import { seededRandom } from "./testing/seeded_random.ts";

/** A page on which the guest has announced `count` faults. */
function page(count: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode("XKMFAULT"));
  view.setUint32(8, 1, true);
  view.setUint32(12, 63, true);
  view.setBigUint64(16, BigInt(count), true);
  for (let n = 1; n <= count; n++) {
    const at = 64 + 64 * ((n - 1) % 63);
    view.setBigUint64(at, BigInt(n), true);
    view.setBigUint64(at + 8, 0xffffffff80003010n + BigInt(n), true);
    view.setBigUint64(at + 16, 0xffffffff80001234n, true);
    view.setUint32(at + 24, 3, true);
    view.setUint32(at + 28, 1, true);
    view.setBigUint64(at + 32, BigInt(n) * 1_000_000n, true);
  }
  return { bytes, view };
}

function sequences(bytes: Uint8Array, after: bigint): number[] {
  return simpleosFaultChannel.decode(bytes, after)
    .map(({ sequence }) => Number(sequence));
}

Deno.test("a record is read field by field", () => {
  assertEquals(simpleosFaultChannel.decode(page(1).bytes, 0n), [{
    sequence: 1n,
    address: 0xffffffff80003011n,
    ip: 0xffffffff80001234n,
    errorCode: 3,
    cpu: 1,
  }]);
});

Deno.test("only the records after the last seen one are given, oldest first", () => {
  assertEquals(sequences(page(5).bytes, 2n), [3, 4, 5]);
  assertEquals(sequences(page(5).bytes, 5n), []);
  assertEquals(sequences(page(0).bytes, 0n), []);
});

Deno.test("when the ring has wrapped the last 63 records are left, in order", () => {
  assertEquals(
    sequences(page(100).bytes, 0n),
    Array.from({ length: 63 }, (_, i) => 38 + i),
  );
  assertEquals(sequences(page(64).bytes, 62n), [63, 64]);
});

Deno.test("a record that is being written is left out", () => {
  const { bytes, view } = page(3);
  view.setBigUint64(64 + 64, 0n, true);
  assertEquals(sequences(bytes, 0n), [1, 3]);
});

Deno.test("a record that the header does not count yet is left out", () => {
  const { bytes, view } = page(3);
  view.setBigUint64(16, 2n, true);
  assertEquals(sequences(bytes, 0n), [1, 2]);
});

Deno.test("a record in a slot that is not its own is left out", () => {
  const { bytes, view } = page(3);
  view.setBigUint64(64, 2n, true);
  assertEquals(sequences(bytes, 0n), [2, 3]);
});

Deno.test("a page of another layout has no records", () => {
  for (const at of [0, 7, 8, 12]) {
    const { bytes } = page(3);
    bytes[at]! ^= 1;
    assertEquals(sequences(bytes, 0n), []);
  }
});

Deno.test("a copy that is not one page is a mistake of the caller", () => {
  for (const size of [0, 4095, 4097]) {
    assertThrows(
      () => simpleosFaultChannel.decode(new Uint8Array(size), 0n),
      RangeError,
    );
  }
});

Deno.test("whatever a guest writes, the records are few, new and ascending", () => {
  const random = seededRandom(14);
  for (let round = 0; round < 5000; round++) {
    const { bytes, view } = page(random(200));
    for (let i = random(400); i > 0; i--) {
      bytes[14 + random(4082)] = random(256);
    }
    if (random(4) === 0) view.setBigUint64(16, 0xffffffffffffffffn, true);
    const after = BigInt(random(200));
    const found = simpleosFaultChannel.decode(bytes, after);
    assert(found.length <= 63);
    let last = after;
    for (const { sequence } of found) {
      assert(sequence > last && sequence <= view.getBigUint64(16, true));
      last = sequence;
    }
  }
});
