import { unpackLz4 } from "../../../guestos/compression/unpack_lz4.ts";
import { pipeThrough } from "../../../guestos/testing/pipe_through.ts";
import { isRefused } from "../is_refused.ts";
import { packedContent } from "../packed_content.ts";
import type { Target } from "../target.ts";

/** Magic and the size of the first block */
const HEADER_SIZE = 8;

const bytes = await pipeThrough(packedContent, "lz4", "-l", "-c");

/** A kernel that is packed with LZ4. */
export const lz4: Target = {
  name: "lz4",
  seeds: [{
    bytes,
    ranges: [[0, HEADER_SIZE], [HEADER_SIZE, bytes.length]],
  }],
  limit: 1000,
  read: (input) =>
    !isRefused(() => void unpackLz4(input, packedContent.length, "It")),
};
