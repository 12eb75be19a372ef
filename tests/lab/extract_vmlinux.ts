import { hostCommand } from "./host_command.ts";

/** Programs that unpack a kernel's payload, by the payload's first bytes. */
const UNPACKERS: readonly (readonly [number[], string])[] = [
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], "xz"],
  [[0x28, 0xb5, 0x2f, 0xfd], "zstd"],
  [[0x02, 0x21, 0x4c, 0x18], "lz4"],
  [[0x1f, 0x8b], "gzip"],
];

/**
 * Writes the uncompressed kernel (ELF) in the x86 `bzImage` at `image` to
 * `target`. Offsets: Documentation/arch/x86/boot.rst in Linux.
 *
 * @throws {TypeError} if `image` is no such file.
 */
export async function extractVmlinux(
  image: string,
  target: string,
): Promise<void> {
  const bytes = await Deno.readFile(image);
  const view = new DataView(bytes.buffer);
  if (bytes.length < 0x250 || view.getUint32(0x202, true) !== 0x53726448) {
    throw new TypeError(`${image}: no bzImage`);
  }
  const setupSectors = view.getUint8(0x1f1) || 4;
  const start = (setupSectors + 1) * 512 + view.getUint32(0x248, true);
  // The last 4 bytes of the payload are its length when unpacked.
  const payload = bytes.subarray(
    start,
    start + view.getUint32(0x24c, true) - 4,
  );
  const unpacker = UNPACKERS.find(([magic]) =>
    magic.every((byte, i) => payload[i] === byte)
  )?.[1];
  if (unpacker === undefined) {
    throw new TypeError(`${image}: a payload of unknown compression`);
  }
  const packed = `${target}.packed`;
  await Deno.writeFile(packed, payload);
  await Deno.writeFile(
    target,
    await hostCommand([unpacker, "-dc", packed]),
  );
  await Deno.remove(packed);
}
