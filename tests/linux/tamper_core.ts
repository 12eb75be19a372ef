import { CoreGuest } from "../../xen/core_guest.ts";

const PAGE_SIZE = 4096;

/**
 * Copies a core and changes bytes of the guest's memory in the copy.
 *
 * @param core Path of the core, of `xl dump-core`: its pages are aligned
 * @param target Path of the copy
 * @param address Guest virtual address; the bytes lie within one page
 * @param bytes What is to be there
 */
export async function tamperCore(
  core: string,
  target: string,
  address: bigint,
  bytes: Uint8Array,
): Promise<void> {
  await Deno.copyFile(core, target);
  const offset = Number(address % BigInt(PAGE_SIZE));
  const page = readPage(core, address - BigInt(offset));
  using file = await Deno.open(target, { read: true, write: true });
  const { size } = await file.stat();
  const found = new Uint8Array(PAGE_SIZE);
  const places: number[] = [];
  for (let at = 0; at + PAGE_SIZE <= size; at += PAGE_SIZE) {
    await file.seek(at, Deno.SeekMode.Start);
    await file.read(found);
    if (found.every((byte, index) => byte === page[index])) places.push(at);
  }
  if (places.length !== 1) {
    throw new Error(`the page is ${places.length} times in ${core}`);
  }
  await file.seek(places[0]! + offset, Deno.SeekMode.Start);
  await file.write(bytes);
}

function readPage(core: string, address: bigint): Uint8Array {
  using guest = new CoreGuest(core);
  return guest.read(address, PAGE_SIZE);
}
