import { ElfFile } from "../../guestos/elf_file.ts";
import { buildSimpleOS } from "../simpleos/guest.ts";

/** The invalid instruction `ud2`, which SimpleOS does not survive. */
const UD2 = [0x0f, 0x0b];

/**
 * Makes a SimpleOS that crashes when it is told to `ping`.
 *
 * @returns its ELF file.
 */
export async function crashingKernel(): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await Deno.readFile(await buildSimpleOS());
  const { symbols, segments } = new ElfFile(bytes);
  const { address } = symbols.find(({ name }) => name === "ping")!;
  const segment = segments.find((segment) =>
    address >= segment.address &&
    address < segment.address + BigInt(segment.fileSize)
  )!;
  bytes.set(UD2, segment.offset + Number(address - segment.address));
  return bytes;
}
