import type { KernelMemory } from "../memory.ts";
import { ProfileError } from "../profile_error.ts";
import { Btf } from "./btf.ts";
import { findKallsyms } from "./kallsyms.ts";
import type { KernelSymbols } from "./kernel_symbols.ts";
import { LinuxImage } from "./linux_image.ts";
import type { KernelLocation } from "./locate_kernel.ts";

/** Largest image of a kernel, bytes */
const MAX_IMAGE = 256n << 20n;
/** Largest range that kallsyms are looked for in */
const MAX_RANGE = 64 << 20;

/**
 * A kernel as a guest's memory shows it: its read-only data, with the symbols
 * and types that it describes itself by. All of that is the guest's own word.
 * Code is not read: who needs it has to.
 *
 * @throws {ProfileError} If it still boots, or has no symbols (kallsyms) or
 *   types (BTF)
 * @throws {UnreadableMemoryError} If its memory cannot be read
 */
export function imageOfMemory(
  memory: KernelMemory,
  { base, ranges }: KernelLocation,
): LinuxImage {
  const inImage = ranges.filter(({ start, size }) =>
    start + size <= base + MAX_IMAGE
  );
  const last = inImage.at(-1);
  if (last === undefined) {
    throw new ProfileError("anchor", "the kernel's image is too large");
  }
  const bytes = new Uint8Array(Number(last.start + last.size - base));
  let symbols: KernelSymbols | undefined;
  for (const { start, size, writable, executable } of inImage) {
    // Data changes while it is read, and is read when it is needed
    if (writable || executable) continue;
    const at = Number(start - base);
    const range = bytes.subarray(at, at + Number(size));
    memory.readInto(start, range);
    if (size > MAX_RANGE) continue;
    symbols ??= findKallsyms({ start, bytes: range });
  }
  if (symbols === undefined) {
    // It protects its text, then its read-only data, then its data
    if (inImage.some(({ writable, executable }) => writable && executable)) {
      throw new ProfileError(
        "boot",
        "its image can be both written and executed, so that it still boots " +
          "or does not protect itself; name its file with --kernel FILE",
      );
    }
    throw new ProfileError(
      "symbols",
      "its read-only data holds no kallsyms; name its file with --kernel FILE",
    );
  }
  return new LinuxImage({
    base,
    bytes,
    symbols,
    btf: readTypes(bytes, base, symbols),
    sections: new Map(),
    isOfFile: false,
  });
}

function readTypes(
  bytes: Uint8Array,
  base: bigint,
  symbols: KernelSymbols,
): Btf {
  const offset = (name: string) => {
    const index = symbols.find(name);
    return Number((index === undefined ? 0n : symbols.address(index)) - base);
  };
  const start = offset("__start_BTF");
  const end = offset("__stop_BTF");
  if (start < 0 || end <= start || end > bytes.length) {
    throw new ProfileError("types", "its memory holds no BTF");
  }
  try {
    return new Btf(bytes.subarray(start, end));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ProfileError("types", error.message);
  }
}
