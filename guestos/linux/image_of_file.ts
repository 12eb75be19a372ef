import type { KernelFile } from "../kernel_file.ts";
import { ProfileError } from "../profile_error.ts";
import { Btf } from "./btf.ts";
import { findKallsyms } from "./kallsyms.ts";
import { type ImagePart, LinuxImage } from "./linux_image.ts";
import { relocateImage } from "./relocate_image.ts";

/** Where a kernel may be linked to and run: -2 GiB to -1 GiB */
const LOWEST = 0xffff_ffff_8000_0000n;
const HIGHEST = 0xffff_ffff_c000_0000n;
const MAX_IMAGE = 256 << 20;
const PT_LOAD = 1;

/**
 * A kernel as its file says that it must be: loaded, and relocated for where
 * it runs.
 *
 * @param kernel The kernel file
 * @param base Guest virtual address where its `_text` is
 * @throws {SyntaxError} If it is no Linux kernel or is damaged
 * @throws {ProfileError} If it has no symbols (kallsyms) or types (BTF)
 */
export function imageOfFile(kernel: KernelFile, base: bigint): LinuxImage {
  const { path, elf } = kernel;
  const segments = elf.segments.filter(({ type, address }) =>
    type === PT_LOAD && address >= LOWEST && address < HIGHEST
  );
  const linkBase = segments[0]?.address;
  if (linkBase === undefined) {
    throw new SyntaxError(`${path} has nothing where Linux is linked to`);
  }
  const end = segments.reduce(
    (end, { address, memorySize }) =>
      Math.max(end, Number(address - linkBase) + memorySize),
    0,
  );
  if (end > MAX_IMAGE) throw new SyntaxError(`${path} is too large`);
  const bytes = new Uint8Array(end);
  for (const { address, fileSize } of segments) {
    const content = elf.bytesAt(address, fileSize);
    if (content === undefined) throw new SyntaxError(`${path} is cut off`);
    bytes.set(content, Number(address - linkBase));
  }
  if (base !== linkBase) {
    relocateImage(bytes, linkBase, base - linkBase, kernel);
  }
  const sections = new Map<string, ImagePart>();
  for (const { name, address, size } of elf.sections) {
    const offset = Number(address - linkBase);
    if (offset >= 0 && offset + size <= end) {
      sections.set(name, { offset, size });
    }
  }
  const slice = (name: string) => {
    const part = sections.get(name);
    return part && bytes.subarray(part.offset, part.offset + part.size);
  };
  const rodata = sections.get(".rodata");
  const symbols = rodata && findKallsyms({
    start: base + BigInt(rodata.offset),
    bytes: slice(".rodata")!,
  });
  if (symbols === undefined) {
    throw new ProfileError("symbols", `${path} has no kallsyms`);
  }
  const types = slice(".BTF");
  if (types === undefined) {
    throw new ProfileError("types", `${path} has no BTF`);
  }
  return new LinuxImage({
    base,
    bytes,
    symbols,
    btf: new Btf(types),
    sections,
    isOfFile: true,
  });
}
