import { node } from "../node.ts";
import { ProfileError } from "../profile_error.ts";
import { buildId } from "./build_id.ts";
import { Btf } from "./btf.ts";
import type { KernelSymbol } from "./kernel_symbols.ts";
import type { LinuxImage } from "./linux_image.ts";

const FORMAT = "xkmon Linux profile 1";
/** Unpacked: symbols and types of a kernel take some 20 MiB */
const MAX_SIZE = 256 << 20;

/** What is kept of a kernel. */
interface Saved {
  readonly format: string;
  readonly banner: string;
  readonly buildId: string;
  /**
   * One a line: address, type, name. Addresses are hexadecimal; with a plus
   * they count from `_text`, since a kernel moves from boot to boot.
   */
  readonly symbols: string;
  /** BTF, base64 */
  readonly types: string;
}

/**
 * Writes the profile of a kernel.
 *
 * @returns The file's bytes
 */
export function saveProfile(image: LinuxImage, banner: string): Uint8Array {
  const types = image.between("__start_BTF", "__stop_BTF");
  const saved: Saved = {
    format: FORMAT,
    banner,
    buildId: buildId(image) ?? "none",
    symbols: Array.from(
      image.symbols,
      ({ name, type, address }) =>
        `${
          address < image.base
            ? address.toString(16)
            : `+${(address - image.base).toString(16)}`
        } ${type} ${name}`,
    ).join("\n"),
    types: types === undefined ? "" : image.slice(types).toBase64(),
  };
  return node.zlib.gzipSync(JSON.stringify(saved));
}

/**
 * Takes symbols and types of a kernel from a profile that was kept, in place
 * of what the guest itself says of them.
 *
 * @param seen The kernel, by the guest's own word
 * @param banner The first line that it prints
 * @param file The kept profile's bytes
 * @returns The kernel, and how many of its symbols the guest has otherwise
 * @throws {SyntaxError} If the file is no kept profile
 * @throws {ProfileError} If it is of another kernel
 */
export function useSavedProfile(
  seen: LinuxImage,
  banner: string,
  file: Uint8Array,
): { image: LinuxImage; differing: number } {
  const saved = parse(file);
  const id = buildId(seen) ?? "none";
  if (saved.banner !== banner || saved.buildId !== id) {
    throw new ProfileError(
      "saved profile",
      `it is of ${saved.banner} (build id ${saved.buildId}), and the guest ` +
        `runs ${banner} (build id ${id})`,
    );
  }
  const symbols = saved.symbols.split("\n").map((line): KernelSymbol => {
    const [, moves, hex, type = "", name = ""] =
      line.match(/^(\+?)([0-9a-f]{1,16}) ([!-~]) ([!-~]+)$/) ?? [];
    if (hex === undefined) throw malformed();
    const base = moves === "+" ? seen.base : 0n;
    return {
      name,
      type,
      address: BigInt.asUintN(64, base + BigInt(`0x${hex}`)),
    };
  });
  for (const [index, { address }] of symbols.entries()) {
    if (address < (symbols[index - 1]?.address ?? 0n)) throw malformed();
  }
  const key = ({ name, type, address }: KernelSymbol) =>
    `${address} ${type} ${name}`;
  const own = new Set(Array.from(seen.symbols, key));
  const btf = new Btf(Uint8Array.fromBase64(saved.types));
  return {
    image: seen.with(symbols, btf),
    differing: symbols.filter((symbol) => !own.has(key(symbol))).length +
      Math.max(0, seen.symbols.size - symbols.length),
  };
}

function malformed(cause?: unknown): SyntaxError {
  return new SyntaxError("The file is no profile that xkmon kept", { cause });
}

function parse(file: Uint8Array): Saved {
  try {
    const text = node.zlib.gunzipSync(file, { maxOutputLength: MAX_SIZE });
    const saved = JSON.parse(new TextDecoder().decode(text));
    const fields = ["banner", "buildId", "symbols", "types"];
    const fits = saved?.format === FORMAT &&
      fields.every((field) => typeof saved[field] === "string");
    if (fits) return saved;
  } catch (error) {
    throw malformed(error);
  }
  throw malformed();
}
