import { ElfFile } from "../../guestos/elf_file.ts";
import type { GuestSymbol } from "../../guestos/symbol_table.ts";
import { buildSimpleOS } from "../simpleos/guest.ts";

/** An ELF file of SimpleOS. */
export class SimpleOSFile {
  #elf: ElfFile;

  private constructor(elf: ElfFile) {
    this.#elf = elf;
  }

  /**
   * Reads a file.
   *
   * @param path that of the SimpleOS which the tests start, if not given.
   */
  static async read(path?: string): Promise<SimpleOSFile> {
    return new SimpleOSFile(
      new ElfFile(await Deno.readFile(path ?? await buildSimpleOS())),
    );
  }

  /**
   * The symbol of a name.
   *
   * @throws {Error} unless there is exactly one.
   */
  symbol(name: string): GuestSymbol {
    const found = this.#elf.symbols.filter((symbol) => symbol.name === name);
    if (found.length !== 1) {
      throw new Error(`SimpleOS has ${found.length} symbols named ${name}`);
    }
    return found[0]!;
  }

  /**
   * The address that a text such as `shutdown` or `shutdown+0x12` names.
   *
   * @throws {Error} if it is none or its symbol is not there.
   */
  address(text: string): bigint {
    const [, name, offset] = text.match(/^([^+]+)(?:\+(0x[0-9a-f]+))?$/) ?? [];
    if (name === undefined) throw new Error(`${text} names no address`);
    return this.symbol(name).address + BigInt(offset ?? 0);
  }

  /** What the file has at a symbol, in hexadecimal. */
  bytes(name: string, size: number): string {
    const bytes = this.#elf.bytesAt(this.symbol(name).address, size);
    if (bytes === undefined) {
      throw new Error(`SimpleOS has no bytes of ${name}`);
    }
    return bytes.toHex();
  }
}
