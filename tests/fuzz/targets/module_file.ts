import { assert } from "@std/assert";
import { UnreadableMemoryError } from "../../../guestos/memory.ts";
import { GuestReader } from "../../../guestos/linux/guest_reader.ts";
import { KernelReader } from "../../../guestos/linux/kernel_reader.ts";
import { ModuleFile } from "../../../guestos/linux/module_file.ts";
import { ModuleImage } from "../../../guestos/linux/module_image.ts";
import { moduleLayout } from "../../../guestos/linux/module_layout.ts";
import { ftraceSites } from "../../../guestos/linux/patches/ftrace_sites.ts";
import { jumpLabels } from "../../../guestos/linux/patches/jump_labels.ts";
import { lockPrefixes } from "../../../guestos/linux/patches/lock_prefixes.ts";
import { patchSites } from "../../../guestos/linux/patches/patch_sites.ts";
import { staticCalls } from "../../../guestos/linux/patches/static_calls.ts";
import { moduleObject } from "../../../guestos/linux/testing/module_object.ts";
import { SyntheticKernel } from "../../../guestos/linux/testing/synthetic_kernel.ts";
import { isRefused } from "../is_refused.ts";
import type { Target } from "../target.ts";

const ELF_HEADER_SIZE = 64;
const TEXT = { start: 0xffff_ffff_c000_0000n, size: 0x4000 };

const kernel = new SyntheticKernel({}, (builder) => {
  builder.data({ uniproc_patched: 0x6800 });
});
const { image, memory } = kernel;
memory.write(TEXT.start, new Uint8Array(TEXT.size));
const module = {
  name: "lab",
  address: kernel.addModule("lab", TEXT),
  isLive: true,
  text: TEXT,
};
const bytes = await moduleObject();
const headers = Number(new DataView(bytes.buffer).getBigUint64(40, true));

/** Reads a file as the monitor does for a module that is loaded. */
function readModule(input: Uint8Array<ArrayBuffer>): void {
  const file = new ModuleFile("lab.ko", input);
  assert([...file.symbols()].length < input.length);
  for (const index of file.sections.keys()) {
    for (const { symbol } of file.relocations(index)) file.symbol(symbol);
  }
  const layout = moduleLayout(
    file,
    module,
    new KernelReader(memory, image.btf),
  );
  const loaded = new ModuleImage({
    file,
    text: TEXT,
    layout,
    kernel: image,
    resolve: () => kernel.at(0),
  });
  const patching = {
    image: loaded,
    text: loaded.bytes,
    end: loaded.textSize,
    found: memory.read(TEXT.start, TEXT.size),
    guest: new GuestReader(memory, kernel.base).from(TEXT.start),
    pv: false,
  };
  patchSites(patching, [
    ...jumpLabels(patching),
    ...staticCalls(patching, { offset: undefined, lowerHalf: false }),
    ...ftraceSites(patching),
    ...lockPrefixes(patching),
  ]);
}

/** The file of a kernel module. */
export const moduleFile: Target = {
  name: "module_file",
  seeds: [{
    bytes,
    ranges: [
      [16, ELF_HEADER_SIZE],
      [ELF_HEADER_SIZE, headers],
      [headers, bytes.length],
    ],
  }],
  limit: 1000,
  read(input) {
    try {
      return !isRefused(() => readModule(input));
    } catch (error) {
      // Both end in "could not tell": see ModulePredictor
      const isTyped = error instanceof RangeError ||
        error instanceof UnreadableMemoryError;
      if (isTyped) return false;
      throw error;
    }
  },
};
