import { unpackLzma2 } from "../../../guestos/compression/unpack_lzma2.ts";
import { pipeThrough } from "../../../guestos/testing/pipe_through.ts";
import { isRefused } from "../is_refused.ts";
import { packedContent } from "../packed_content.ts";
import type { Seed, Target } from "../target.ts";

const DICTIONARY = 1 << 20;
/** Bytes of a chunk's header, at most */
const HEADER_SIZE = 6;

/** Raw data: the checksums of a file would stop damage before the decoder. */
async function seed(options: string): Promise<Seed> {
  const bytes = await pipeThrough(
    packedContent,
    "xz",
    "--format=raw",
    `--lzma2=dict=1MiB${options}`,
  );
  return { bytes, ranges: [[0, HEADER_SIZE], [HEADER_SIZE, bytes.length]] };
}

/** The data in .xz files, which kernels and modules are packed as. */
export const lzma2: Target = {
  name: "lzma2",
  seeds: await Promise.all([seed(""), seed(",lc=0,lp=2,pb=1")]),
  limit: 1000,
  read(input) {
    const output = new Uint8Array(2 * packedContent.length);
    return !isRefused(() =>
      void unpackLzma2(input, 0, output, 0, DICTIONARY, "It")
    );
  },
};
