import type { GuestMemory } from "../memory.ts";
import type { LinuxImage } from "./linux_image.ts";

const MAX_BANNER = 512;

/**
 * The first line that a kernel prints, as a guest's memory has it. What is not
 * printable is `?`.
 *
 * @throws {SyntaxError} If the kernel has no symbol of it
 * @throws {UnreadableMemoryError} If it cannot be read
 */
export function readBanner(image: LinuxImage, memory: GuestMemory): string {
  const address = image.address(image.need("linux_banner"));
  return bannerText(memory.read(address, MAX_BANNER));
}

/** The line in an image's own bytes. */
export function bannerOf(image: LinuxImage): string {
  const at = image.need("linux_banner");
  return bannerText(image.bytes.subarray(at, at + MAX_BANNER));
}

function bannerText(bytes: Uint8Array): string {
  const end = bytes.findIndex((byte) => byte === 0 || byte === 0x0a);
  return String.fromCharCode(
    ...bytes.subarray(0, end < 0 ? undefined : end).map((byte) =>
      byte >= 0x20 && byte < 0x7f ? byte : 0x3f
    ),
  );
}
