import { node } from "../../guestos/node.ts";

/** SHA-256 of a file of any size, hexadecimal. */
export async function fileSha256(path: string): Promise<string> {
  const hash = node.crypto.createHash("sha256");
  using file = await Deno.open(path);
  const chunk = new Uint8Array(1 << 20);
  for (;;) {
    const count = await file.read(chunk);
    if (count === null) return hash.digest("hex");
    hash.update(chunk.subarray(0, count));
  }
}
