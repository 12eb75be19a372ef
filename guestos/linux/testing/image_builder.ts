import { Btf } from "../btf.ts";
import { type KernelSymbol, KernelSymbols } from "../kernel_symbols.ts";
import { type ImagePart, LinuxImage } from "../linux_image.ts";
import { BtfImage } from "./btf_image.ts";

/** Guest virtual address of `_text` where a test says nothing else */
export const BASE = 0xffff_ffff_8100_0000n;

/** Bytes that an expression of hexadecimal digits and spaces stands for. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(text.replaceAll(" ", ""));
}

/** A number of 4 bytes. */
export function s32(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

/** Puts a small kernel together: offsets count from `_text`. */
export class ImageBuilder {
  readonly base: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly types = new BtfImage();
  /** The unpacked kernel file, if it is an image of one */
  isOfFile = false;
  #symbols: KernelSymbol[] = [];
  #sections = new Map<string, ImagePart>();

  constructor(size = 0x10000, base = BASE) {
    this.base = base;
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Adds a symbol; a function where no type is given. */
  symbol(name: string, offset: number, type = "T"): this {
    this.#symbols.push({ name, type, address: this.base + BigInt(offset) });
    return this;
  }

  /** Adds symbols of data. */
  data(offsets: Readonly<Record<string, number>>): this {
    for (const [name, offset] of Object.entries(offsets)) {
      this.symbol(name, offset, "D");
    }
    return this;
  }

  /** Adds a symbol that does not move with the kernel. */
  absolute(name: string, address: bigint): this {
    this.#symbols.push({ name, type: "A", address });
    return this;
  }

  put(offset: number, bytes: ArrayLike<number>): this {
    this.bytes.set(bytes, offset);
    return this;
  }

  u64(offset: number, value: bigint): this {
    this.view.setBigUint64(offset, BigInt.asUintN(64, value), true);
    return this;
  }

  s32(offset: number, value: number): this {
    this.view.setInt32(offset, value, true);
    return this;
  }

  section(name: string, offset: number, size: number): this {
    this.#sections.set(name, { offset, size });
    return this;
  }

  /** A section of offsets, each relative to its own place. */
  relative(name: string, offset: number, targets: readonly number[]): this {
    for (const [index, target] of targets.entries()) {
      const at = offset + 4 * index;
      this.s32(at, target - at);
    }
    return this.section(name, offset, 4 * targets.length);
  }

  build(): LinuxImage {
    const { base, bytes, isOfFile } = this;
    // BTF must have a type at least
    this.types.int("int", 4);
    return new LinuxImage({
      base,
      bytes,
      symbols: KernelSymbols.from(
        this.#symbols.toSorted((a, b) =>
          a.address < b.address ? -1 : Number(a.address > b.address)
        ),
      ),
      btf: new Btf(this.types.bytes),
      sections: this.#sections,
      isOfFile,
    });
  }
}
