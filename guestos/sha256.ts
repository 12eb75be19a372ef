import { sha256 as digest } from "@noble/hashes/sha2";
import { node } from "./node.ts";

/**
 * Bytes that are digested before the module of Node.js, which is the faster
 * one, would be loaded
 */
const FEW = 1 << 20;

/**
 * SHA-256 of some bytes, FIPS 180-4.
 *
 * @returns Lower-case hexadecimal
 *
 * @example
 * ```ts
 * console.log(sha256(new TextEncoder().encode("abc")).slice(0, 8)); // ba7816bf
 * ```
 */
export function sha256(bytes: Uint8Array): string {
  return bytes.length <= FEW
    ? digest(bytes).toHex()
    : node.crypto.createHash("sha256").update(bytes).digest("hex");
}
