import { assert } from "@std/assert";
import { Btf } from "../../../guestos/linux/btf.ts";
import { BtfImage } from "../../../guestos/linux/testing/btf_image.ts";
import { isRefused } from "../is_refused.ts";
import type { Target } from "../target.ts";

const PATHS = ["tasks", "tasks.prev", "inner", "table", "comm", "none", "bit"];

function image(): Uint8Array {
  const image = new BtfImage();
  const int = image.int("int", 4);
  const list = image.struct("list_head", 16, [
    { name: "next", type: 3, bit: 0 },
    { name: "prev", type: 3, bit: 64 },
  ]);
  image.pointer(list);
  const union = image.union("", 8, [
    { name: "outer", type: int, bit: 0 },
    {
      type: image.struct("", 8, [{ name: "inner", type: int, bit: 32 }]),
      bit: 0,
    },
  ]);
  const state = image.const(image.volatile(image.typedef("state_t", int)));
  image.struct("task_struct", 96, [
    { name: "state", type: state, bit: 0 },
    { name: "tasks", type: list, bit: 64 },
    { type: union, bit: 192 },
    { name: "table", type: image.array(image.array(list, 2), 2), bit: 256 },
    { name: "comm", type: image.array(int, 4), bit: 512 },
    {
      type: image.struct("", 4, [{ name: "bit", type: int, bit: 3, width: 1 }]),
      bit: 640,
    },
  ]);
  image.enum("system_states", { BOOTING: 0, RUNNING: 3 });
  return image.bytes;
}

const bytes = image();

/** The kernel's description of its types. */
export const btf: Target = {
  name: "btf",
  seeds: [{ bytes, ranges: [[0, 24], [24, bytes.length - 80]] }],
  limit: 500,
  read: (input) =>
    !isRefused(() => {
      const btf = new Btf(input);
      assert(btf.size <= input.length / 12);
      btf.sizeOf("task_struct");
      btf.enumerator("system_states", "RUNNING");
      for (const path of PATHS) {
        const { offset, size } = btf.member("task_struct", path) ??
          { offset: 0, size: 0 };
        const sane = Number.isSafeInteger(offset) && offset >= 0 &&
          Number.isSafeInteger(size) && size >= 0;
        assert(sane, `${path}: ${offset}, ${size}`);
      }
    }),
};
