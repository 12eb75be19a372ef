import { assertEquals, assertThrows } from "@std/assert";
import {
  afterInitContradictions,
  predictRodata,
  rodataRange,
} from "./predict_rodata.ts";
import { BASE, hex, ImageBuilder } from "./testing/image_builder.ts";

const RODATA = 0x3000;
const LAST = 0x4800;
const END = 0x5000;
const AFTER_INIT = 0x3100;
const AFTER_INIT_END = 0x3200;
const JUMPS = 0x3400;
const CALLS = 0x3600;
const KEYS = 0x6000;
const FUNCTION = 0x100;
const INIT = 2;

interface Entry {
  readonly at: number;
  readonly target: number;
  readonly key: number;
}

const LABELS: readonly Entry[] = [
  { at: 0x110, target: 0x180, key: KEYS },
  { at: 0x120, target: 0x190, key: KEYS + 16 | 1 },
  { at: 0x130, target: 0x1a0, key: KEYS },
  { at: 0x130, target: 0x1a0, key: KEYS },
];
const STATIC_CALLS: readonly Omit<Entry, "target">[] = [
  { at: 0x140, key: KEYS + 32 },
  { at: 0x150, key: KEYS + 40 | 1 },
];

/** Writes tables of labels and calls as the kernel's file or a guest has them. */
function writeTables(
  view: DataView,
  offset: number,
  labels = LABELS,
  calls = STATIC_CALLS,
) {
  for (const [index, { at, target, key }] of labels.entries()) {
    const place = JUMPS + 16 * index;
    view.setInt32(place - offset, at - place, true);
    view.setInt32(place + 4 - offset, target - place - 4, true);
    view.setBigInt64(place + 8 - offset, BigInt(key - place - 8), true);
  }
  for (const [index, { at, key }] of calls.entries()) {
    const place = CALLS + 8 * index;
    view.setInt32(place - offset, at - place, true);
    view.setInt32(place + 4 - offset, key - place - 4, true);
  }
}

function builder({ afterInit = true } = {}): ImageBuilder {
  const builder = new ImageBuilder();
  for (let at = RODATA; at < LAST; at++) builder.bytes[at] = at * 7;
  builder.symbol("_text", 0).symbol("lab", FUNCTION).symbol("_etext", 0x2000)
    .data({
      __start_rodata: RODATA,
      // Not at the end of a page
      __end_rodata: LAST,
      __start___jump_table: JUMPS,
      __stop___jump_table: JUMPS + 16 * LABELS.length,
      __start_static_call_sites: CALLS,
      __stop_static_call_sites: CALLS + 8 * STATIC_CALLS.length,
    })
    .section(".rodata", RODATA, LAST - RODATA)
    .section(".data", 0x6000, 0x1000);
  if (afterInit) {
    builder.data({
      __start_ro_after_init: AFTER_INIT,
      __end_ro_after_init: AFTER_INIT_END,
    });
    builder.bytes.fill(0, AFTER_INIT, AFTER_INIT_END);
  }
  writeTables(builder.view, 0);
  return builder;
}

/** The read-only data of a guest that has all as in the file. */
function foundIn({ bytes }: ImageBuilder): Uint8Array<ArrayBuffer> {
  return bytes.slice(RODATA, END);
}

/** What contradicts the kernel: places. */
function contradictions(
  change: (found: Uint8Array, view: DataView) => void,
): number[] {
  const kernel = builder();
  const found = foundIn(kernel);
  change(found, new DataView(found.buffer));
  return [...afterInitContradictions(kernel.build(), found)].map((
    { offset },
  ) => offset);
}

Deno.test("the read-only data has whole pages", () => {
  assertEquals(rodataRange(builder().build()), {
    offset: RODATA,
    size: END - RODATA,
  });
  const image = new ImageBuilder().data({ __start_rodata: RODATA }).build();
  assertThrows(() => rodataRange(image), SyntaxError, "__end_rodata");
});

Deno.test("the data must be that of the file", () => {
  const kernel = builder();
  const expected = foundIn(kernel);
  const found = expected.slice();
  found[0]! ^= 1;
  found[AFTER_INIT_END - RODATA]! ^= 1;
  found[LAST - 1 - RODATA]! ^= 1;
  assertEquals(predictRodata(kernel.build(), found), {
    offset: RODATA,
    bytes: expected,
    afterInit: { offset: AFTER_INIT, size: AFTER_INIT_END - AFTER_INIT },
  });
});

Deno.test("what the kernel sets while it boots is taken from the guest", () => {
  const kernel = builder();
  const found = foundIn(kernel);
  found.fill(0x77, AFTER_INIT - RODATA, AFTER_INIT_END - RODATA);
  assertEquals(predictRodata(kernel.build(), found).bytes, found);
  // A kernel that sets nothing
  const older = builder({ afterInit: false });
  const expected = foundIn(older);
  const prediction = predictRodata(older.build(), found);
  assertEquals(prediction, { offset: RODATA, bytes: expected });
});

Deno.test("a prediction is a copy: it does not change the image", () => {
  const kernel = builder();
  const image = kernel.build();
  const before = image.bytes.slice();
  const found = new Uint8Array(END - RODATA).fill(0x77);
  predictRodata(image, found).bytes.fill(0x55);
  assertEquals(image.bytes, before);
});

Deno.test("behind the data there is nothing, or what is left of the unpacked file, whole", () => {
  const kernel = builder();
  const payload = new Uint8Array(0x8000).fill(0x99);
  const image = kernel.build();
  const clean = foundIn(kernel);
  const stale = clean.slice();
  stale.fill(0x99, LAST - RODATA);
  assertEquals(predictRodata(image, clean, payload).bytes, clean);
  assertEquals(predictRodata(image, stale, payload).bytes, stale);
  const mixed = stale.slice();
  mixed[LAST - RODATA + 5] = 0;
  assertEquals(predictRodata(image, mixed, payload).bytes, clean);
});

Deno.test("without a file that reaches so far nothing is left behind the data", () => {
  for (const payload of [undefined, new Uint8Array(END - 1).fill(0x99)]) {
    const kernel = builder();
    const clean = foundIn(kernel);
    const stale = clean.slice();
    stale.fill(0x99, LAST - RODATA);
    assertEquals(predictRodata(kernel.build(), stale, payload).bytes, clean);
  }
});

Deno.test("pointers to the starts of functions, into data and to nothing contradict nothing", () => {
  assertEquals(
    contradictions((_, view) => {
      const at = AFTER_INIT - RODATA;
      view.setBigUint64(at, BASE + BigInt(FUNCTION), true);
      view.setBigUint64(at + 8, BASE + 0x6123n, true);
      view.setBigUint64(at + 16, BASE + 0x2001n, true);
      view.setBigUint64(at + 24, BASE - 8n, true);
      view.setBigUint64(at + 32, 0x123n, true);
    }),
    [],
  );
});

Deno.test("a pointer into the midst of a function contradicts the kernel", () => {
  assertEquals(
    contradictions((_, view) => {
      view.setBigUint64(
        AFTER_INIT - RODATA,
        BASE + BigInt(FUNCTION) + 4n,
        true,
      );
      view.setBigUint64(AFTER_INIT_END - RODATA - 8, BASE + 1n, true);
      // Elsewhere the comparison finds it
      view.setBigUint64(AFTER_INIT_END - RODATA, BASE + 1n, true);
    }),
    [AFTER_INIT, AFTER_INIT_END - 8],
  );
});

Deno.test("pointers are looked for at multiples of 8 only, up to the end", () => {
  const kernel = builder();
  const odd = new ImageBuilder();
  odd.bytes.set(kernel.bytes);
  odd.symbol("_etext", 0x2000).data({
    __start_rodata: RODATA,
    __end_rodata: LAST,
    __start_ro_after_init: AFTER_INIT + 4,
    __end_ro_after_init: AFTER_INIT + 20,
  });
  const found = foundIn(kernel);
  const view = new DataView(found.buffer);
  const at = AFTER_INIT - RODATA;
  for (const place of [at + 8, at + 16]) {
    view.setBigUint64(place, BASE + 4n, true);
  }
  assertEquals(
    [...afterInitContradictions(odd.build(), found)].map(({ offset }) =>
      offset
    ),
    [AFTER_INIT + 8],
  );
});

Deno.test("tables may be sorted, and keys may be told that code is freed", () => {
  assertEquals(
    contradictions((_, view) =>
      writeTables(
        view,
        RODATA,
        LABELS.toReversed().map((label) => ({
          ...label,
          key: label.key | INIT,
        })),
        STATIC_CALLS.toReversed().map((call) => ({
          ...call,
          key: call.key | INIT,
        })),
      )
    ),
    [],
  );
});

Deno.test("an entry that the file has not, or not as often, contradicts it", () => {
  const [first, second, third] = LABELS as [Entry, Entry, Entry];
  const forged: [readonly Entry[], number[]][] = [
    [[{ ...first, at: 0x111 }, second, third, third], [JUMPS]],
    [[first, { ...second, target: 0x191 }, third, third], [JUMPS + 16]],
    [[first, { ...second, key: KEYS + 16 }, third, third], [JUMPS + 16]],
    [[first, second, third, { ...third, key: KEYS + 8 }], [JUMPS + 48]],
    // The same one three times, in place of another
    [[third, second, third, third], [JUMPS + 48]],
  ];
  for (const [labels, expected] of forged) {
    assertEquals(
      contradictions((_, view) => writeTables(view, RODATA, labels)),
      expected,
    );
  }
  const [call, other] = STATIC_CALLS;
  assertEquals(
    contradictions((_, view) =>
      writeTables(view, RODATA, LABELS, [call!, { ...other!, at: 0x151 }])
    ),
    [CALLS + 8],
  );
});

Deno.test("each contradiction is told in words", () => {
  const kernel = builder();
  const found = foundIn(kernel);
  found.set(hex("01 00 00 81 ff ff ff ff"), AFTER_INIT - RODATA);
  found[JUMPS - RODATA]! ^= 1;
  assertEquals(
    [...afterInitContradictions(kernel.build(), found)].map(({ reason }) =>
      reason
    ),
    [
      "a pointer does not lead to the start of a function",
      "an entry of a table is none that the kernel file has",
    ],
  );
});
