import { node } from "../../guestos/node.ts";
import { sizeText } from "./size_text.ts";

/** Part of the disk that a core leaves free */
const SPARED = 0.1;

/**
 * Makes sure that a core of a guest leaves room on the disk.
 *
 * @param folder Where the core is to lie
 * @param memory Bytes of the guest
 * @throws {RangeError} If there is too little room; the message says how much
 */
export async function assertRoom(
  folder: string,
  memory: number,
): Promise<void> {
  const { bsize, blocks, bavail } = await node.fs.promises.statfs(folder);
  const needed = memory + SPARED * blocks * bsize;
  const free = bavail * bsize;
  if (free >= needed) return;
  throw new RangeError(
    `too little room: ${sizeText(free)} are free, and ${sizeText(needed)} ` +
      `are needed for ${sizeText(memory)} of memory and a tenth of the disk ` +
      "to stay free",
  );
}
