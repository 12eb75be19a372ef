import { reasonOf } from "../../detect/evidence/part.ts";
import { fileSha256 } from "./file_sha256.ts";
import type { KeptFile, LackingFile } from "./report.ts";

/** The files of an incident's folder: those that are there, and those not. */
export class KeptFiles {
  readonly #folder: string;
  readonly #kept: KeptFile[] = [];
  readonly #lacking: LackingFile[] = [];

  /** @param folder It exists, and is ours */
  constructor(folder: string) {
    this.#folder = folder;
  }

  get kept(): readonly KeptFile[] {
    return this.#kept;
  }

  get lacking(): readonly LackingFile[] {
    return this.#lacking;
  }

  /** Notes that a file is not there. */
  lack(name: string, reason: string): void {
    this.#lacking.push({ name, reason });
  }

  /**
   * Has a file written by whatever can. If that fails, there is none, which is
   * told.
   *
   * @param write Makes the file at a path where none is
   */
  async keep(
    name: string,
    write: (path: string) => Promise<void>,
  ): Promise<void> {
    const path = `${this.#folder}/${name}`;
    try {
      await write(path);
      const { size } = await Deno.stat(path);
      this.#kept.push({ name, size, sha256: await fileSha256(path) });
    } catch (error) {
      // Part of a file takes room and misleads
      await Deno.remove(path).catch(() => {});
      this.lack(name, reasonOf(error));
    }
  }

  /** Writes a file; see `keep`. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    await this.keep(
      name,
      (path) => Deno.writeFile(path, bytes, { createNew: true, mode: 0o600 }),
    );
  }

  /**
   * Writes a file anew, at one blow: the old one stays if that fails.
   *
   * @throws {Error} If it cannot be written
   */
  async replace(name: string, text: string): Promise<void> {
    const path = `${this.#folder}/${name}`;
    const fresh = `${path}.new`;
    try {
      await Deno.writeTextFile(fresh, text, { createNew: true, mode: 0o600 });
      await Deno.rename(fresh, path);
    } catch (error) {
      await Deno.remove(fresh).catch(() => {});
      throw error;
    }
  }
}
