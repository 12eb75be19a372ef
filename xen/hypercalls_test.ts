import { assertEquals, assertThrows } from "@std/assert";
import { XenError } from "./errors.ts";
import { Hypercalls } from "./hypercalls.ts";
import type { Libraries } from "./libraries.ts";

const DOMAIN = 7;
const ESRCH = 3;
const ENODEV = 19;
const EINVAL = 22;

/** One hypercall as Xen gets it. */
interface Request {
  readonly multicall: number;
  readonly calls: bigint;
  readonly op: bigint;
  readonly count: bigint;
  readonly done: bigint;
  readonly subject: bigint;
  /** Pairs of address and value */
  readonly updates: [bigint, bigint][];
}

/** A page that the program has allocated. */
function pageAt(address: bigint): DataView {
  return new DataView(
    Deno.UnsafePointerView.getArrayBuffer(
      Deno.UnsafePointer.create(address)!,
      4096,
    ),
  );
}

/** A libxencall that keeps what it is asked for and answers with a number. */
function fakeXencall(answer = 0n) {
  const requests: Request[] = [];
  const pages: ArrayBuffer[] = [];
  let allocated = 0;
  const symbols: Partial<Libraries["call"]["symbols"]> = {
    xencall_open: () => Deno.UnsafePointer.create(1n),
    xencall_close: () => 0,
    xencall_alloc_buffer_pages: () => {
      allocated++;
      const page = new Uint8Array(4096);
      // Kept, so that it is not moved or freed
      pages.push(page.buffer);
      return Deno.UnsafePointer.of(page);
    },
    xencall_free_buffer_pages: () => void allocated--,
    xencall2: (_handle, multicall, entry, calls) => {
      const view = pageAt(BigInt(entry));
      const arg = (index: number) => view.getBigUint64(16 + 8 * index, true);
      const list = pageAt(arg(0));
      requests.push({
        multicall,
        calls: BigInt(calls),
        op: view.getBigUint64(0, true),
        count: arg(1),
        done: arg(2),
        subject: arg(3),
        updates: Array.from(
          { length: Number(arg(1)) },
          (_, index) => [
            list.getBigUint64(16 * index, true),
            list.getBigUint64(16 * index + 8, true),
          ],
        ),
      });
      view.setBigInt64(8, answer, true);
      return 0;
    },
  };
  return {
    requests,
    libraries: { call: { symbols } } as unknown as Libraries,
    allocated: () => allocated,
  };
}

Deno.test("an entry of another domain's page table is updated as Xen wants it", () => {
  const { libraries, requests, allocated } = fakeXencall();
  {
    using hypercalls = new Hypercalls(libraries);
    hypercalls.updateEntries(DOMAIN, [
      { table: 0x12345n, index: 511, entry: 0x8000_0000_0006_7025n },
      { table: 0x12346n, index: 0, entry: 0n },
    ]);
  }
  assertEquals(requests, [{
    multicall: 13,
    calls: 1n,
    op: 1n,
    count: 2n,
    done: 0n,
    // Page-table owner + 1 in the upper half, page owner in the lower one
    subject: 0x0008_0007n,
    updates: [
      [0x1234_5ffan, 0x8000_0000_0006_7025n],
      [0x1234_6002n, 0n],
    ],
  }]);
  assertEquals(allocated(), 0);
});

Deno.test("more updates than fit at once are made in parts", () => {
  const { libraries, requests } = fakeXencall();
  using hypercalls = new Hypercalls(libraries);
  const updates = Array.from(
    { length: 600 },
    (_, index) => ({ table: 5n, index: index % 512, entry: BigInt(index) }),
  );
  hypercalls.updateEntries(DOMAIN, updates);
  assertEquals(requests.map(({ count }) => count), [256n, 256n, 88n]);
  assertEquals(
    requests.flatMap(({ updates }) => updates.map(([, entry]) => entry)),
    updates.map(({ entry }) => entry),
  );
});

/** What Xen is asked of one frame, and where it answers. */
interface Asked {
  readonly op: bigint;
  readonly command: bigint;
  readonly argument: DataView;
}

/** A Xen that is asked of each frame by itself. */
function askedOfFrames(answer: (asked: Asked) => bigint) {
  const { libraries } = fakeXencall();
  const counts: number[] = [];
  Object.assign(libraries.call.symbols, {
    xencall2: (_: unknown, multicall: number, entry: bigint, calls: bigint) => {
      assertEquals(multicall, 13);
      counts.push(Number(calls));
      const list = pageAt(BigInt(entry));
      for (let at = 0; at < 64 * Number(calls); at += 64) {
        const argument = new DataView(
          Deno.UnsafePointerView.getArrayBuffer(
            Deno.UnsafePointer.create(list.getBigUint64(at + 24, true))!,
            32,
          ),
        );
        const result = answer({
          op: list.getBigUint64(at, true),
          command: list.getBigUint64(at + 16, true),
          argument,
        });
        list.setBigInt64(at + 8, result, true);
      }
      return 0;
    },
  });
  return { counts, hypercalls: new Hypercalls(libraries) };
}

const FRAMES = Array.from({ length: 150 }, (_, frame) => BigInt(frame));

Deno.test("types of pages are asked for, many at once", () => {
  const { counts, hypercalls: opened } = askedOfFrames(
    ({ op, command, argument }) => {
      assertEquals([op, command], [34n, 15n]);
      assertEquals(argument.getUint16(0, true), DOMAIN);
      const frame = argument.getBigUint64(8, true);
      argument.setUint16(2, Number(frame % 5n), true);
      return frame === 200n ? -BigInt(EINVAL) : 0n;
    },
  );
  using hypercalls = opened;
  assertEquals(
    hypercalls.typesOf(DOMAIN, FRAMES),
    FRAMES.map((frame) => Number(frame % 5n)),
  );
  assertEquals(counts, [64, 64, 22]);
  assertEquals(hypercalls.typesOf(DOMAIN, []), []);
  assertThrows(() => hypercalls.typesOf(DOMAIN, [200n]), XenError, "EINVAL");
});

Deno.test("what pages allow is asked for, and told of those that are there", () => {
  const { counts, hypercalls: opened } = askedOfFrames(
    ({ op, command, argument }) => {
      assertEquals([op, command, argument.getUint8(0)], [12n, 21n, 1]);
      assertEquals(argument.getUint16(2, true), DOMAIN);
      const frame = argument.getBigUint64(8, true);
      if (frame === 200n) return -BigInt(ENODEV);
      if (frame % 3n === 0n) return -BigInt(ESRCH);
      argument.setUint8(1, Number(frame % 8n));
      return 0n;
    },
  );
  using hypercalls = opened;
  assertEquals(
    hypercalls.accessesOf(DOMAIN, FRAMES),
    FRAMES.map((frame) => frame % 3n === 0n ? undefined : Number(frame % 8n)),
  );
  assertEquals(counts, [64, 64, 22]);
  assertThrows(() => hypercalls.accessesOf(DOMAIN, [200n]), XenError, "ENODEV");
});

Deno.test("nothing to update is no hypercall", () => {
  const { libraries, requests } = fakeXencall();
  using hypercalls = new Hypercalls(libraries);
  hypercalls.updateEntries(DOMAIN, []);
  assertEquals(requests, []);
});

Deno.test("a refusal inside the multicall is an error with its number", () => {
  const { libraries } = fakeXencall(-BigInt(EINVAL));
  using hypercalls = new Hypercalls(libraries);
  const error = assertThrows(
    () =>
      hypercalls.updateEntries(DOMAIN, [{ table: 1n, index: 0, entry: 0n }]),
    XenError,
  );
  assertEquals([error.call, error.code], ["mmu_update", "EINVAL"]);
});
