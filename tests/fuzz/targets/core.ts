import { CoreFile } from "../../../xen/core_file.ts";
import {
  type CorePart,
  qemuCore,
  xenCore,
} from "../../../xen/testing/core_image.ts";
import { isRefused } from "../is_refused.ts";
import type { Seed, Target } from "../target.ts";

/** In memory: it is written for each input */
const PATH = `/dev/shm/fuzz_core_${crypto.randomUUID()}`;
const ELF_HEADER_SIZE = 64;
const PART_HEADER_SIZE = 64;

const MEMORY = [
  { address: 0x1000n, bytes: new Uint8Array(4096) },
  { address: 0x5000n, bytes: new Uint8Array(4096) },
];
const PAGES = MEMORY.map(({ address }) => ({ frame: address >> 12n }));

const FRAMES = [0, 1, 5, 2 ** 36 - 1, 2 ** 40];
const pages = new Uint8Array(4096 * FRAMES.length);

/** Damage tells in the headers, and in what is short: in all but the pages. */
function seedOf(bytes: Uint8Array, parts: readonly CorePart[]): Seed {
  return {
    bytes,
    ranges: [
      [16, ELF_HEADER_SIZE],
      ...parts.flatMap(({ header, offset, size }) =>
        [
          [header, header + PART_HEADER_SIZE],
          [offset, offset + Math.min(size, 512)],
        ] as const
      ),
    ],
  };
}

const xenCores = (["PV", "PVH or HVM"] as const).map((type) =>
  xenCore({ type, pages: PAGES })
);
const qemuCores = [false, true].map((extended) =>
  qemuCore({ memory: MEMORY, extended })
);

/** A core of a guest, of `xl dump-core` or of QEMU. */
export const core: Target = {
  name: "core",
  seeds: [
    ...xenCores.map(({ bytes, sections }) =>
      seedOf(bytes, Object.values(sections))
    ),
    ...qemuCores.map(({ bytes, segments }) => seedOf(bytes, segments)),
  ],
  limit: 1000,
  read(input) {
    Deno.writeFileSync(PATH, input);
    try {
      return !isRefused(() => {
        using file = new CoreFile(PATH);
        file.readFrames(FRAMES, pages);
      });
    } finally {
      Deno.removeSync(PATH);
    }
  },
};
