import { node } from "./node.ts";
import { sha256 } from "./sha256.ts";

/** The digests of one file's content, in lower-case hexadecimal. */
export interface FileDigests {
  /** For comparison with older records only: MD5 is broken */
  readonly md5: string;
  /** What is trusted */
  readonly sha256: string;
}

/**
 * The MD5 and the SHA-256 of a file's content.
 *
 * @param bytes The whole file
 */
export function fileDigests(bytes: Uint8Array): FileDigests {
  return {
    md5: node.crypto.createHash("md5").update(bytes).digest("hex"),
    sha256: sha256(bytes),
  };
}
