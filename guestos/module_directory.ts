import { unpackModule } from "./unpack_module.ts";

/** What a module's file is called: `xfs.ko`, `snd-pcm.ko.xz` */
const FILE_NAME = /^(.+)\.ko(?:\.gz|\.xz|\.zst)?$/;
const MAX_FILES = 200_000;
const MAX_DEPTH = 32;
/** The largest file of a module, bytes */
const MAX_SIZE = 128 << 20;

/** A file that a module may have been loaded from. */
export interface UnpackedModule {
  /** For messages */
  readonly path: string;
  /** The unpacked ELF file */
  readonly bytes: Uint8Array;
}

/**
 * Files of kernel modules under a directory, such as `/lib/modules/6.1.0`, for
 * one kernel or for several. Files are read when they are asked for.
 */
export class ModuleDirectory {
  readonly path: string;
  /** By the name that the kernel has for a module */
  #paths = new Map<string, string[]>();
  #size = 0;

  /**
   * @param path The directory; symbolic links in it are not followed
   * @throws {Deno.errors.NotFound} If there is none
   * @throws {RangeError} If it holds no module, or more than any host has
   */
  constructor(path: string) {
    this.path = path;
    this.#collect(path, 0);
    if (this.#size === 0) {
      throw new RangeError(`${path} has no files of kernel modules (.ko)`);
    }
  }

  /** How many files there are. */
  get size(): number {
    return this.#size;
  }

  #collect(directory: string, depth: number): void {
    if (depth > MAX_DEPTH) throw new RangeError(`${directory} is too deep`);
    for (const { name, isDirectory, isFile } of Deno.readDirSync(directory)) {
      const path = `${directory}/${name}`;
      if (isDirectory) this.#collect(path, depth + 1);
      const module = isFile ? FILE_NAME.exec(name)?.[1] : undefined;
      if (module === undefined) continue;
      if (++this.#size > MAX_FILES) {
        throw new RangeError(`${this.path} has more than ${MAX_FILES} modules`);
      }
      // As the kernel's build does for file names
      const key = module.replaceAll("-", "_");
      const paths = this.#paths.get(key);
      if (paths === undefined) this.#paths.set(key, [path]);
      else paths.push(path);
    }
  }

  /**
   * The files of a module, unpacked: more than one where the directory has
   * several kernels'.
   *
   * @param name What the kernel calls it: `snd_pcm`
   * @throws {SyntaxError} If a file is damaged
   * @throws {RangeError} If a file is too large
   */
  *files(name: string): Generator<UnpackedModule> {
    for (const path of this.#paths.get(name) ?? []) {
      const { size } = Deno.statSync(path);
      if (size > MAX_SIZE) throw new RangeError(`${path} is too large`);
      yield { path, bytes: unpackModule(Deno.readFileSync(path), path) };
    }
  }
}
