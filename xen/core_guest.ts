import type { CpuState } from "../guestos/cpu_state.ts";
import { CoreFile } from "./core_file.ts";
import { libc } from "./ffi.ts";
import { FrameMapping, type FrameSource } from "./frame_mapping.ts";
import { PAGE_SIZE } from "./layouts.ts";
import { openFirst, sonames } from "./libraries.ts";
import { PagedGuest } from "./paged_guest.ts";

/** Copies pages out of a core, as if they were mapped. */
class CoreFrames implements FrameSource {
  #core: CoreFile;
  #libc = openFirst(sonames.libc, libc);

  constructor(core: CoreFile) {
    this.#core = core;
  }

  map(frames: readonly bigint[]): FrameMapping | number[] {
    const bytes = new Uint8Array(frames.length * PAGE_SIZE);
    const missing = this.#core.readFrames(frames.map(Number), bytes);
    if (missing.length > 0) return missing;
    return new FrameMapping(
      this.#libc,
      Deno.UnsafePointer.of(bytes)!,
      frames.length,
      // Held by this function as long as the mapping holds it
      () => void bytes,
    );
  }
}

/** A guest as a core shows it: it stands still for ever. */
export class CoreGuest extends PagedGuest {
  readonly domain: { id: number; name: string; uuid: string };
  readonly core: CoreFile;

  /**
   * @param path The core
   * @throws {Deno.errors.NotFound} If there is no such file
   * @throws {SyntaxError} If it is no core of a 64-bit x86 guest
   */
  constructor(path: string) {
    const core = new CoreFile(path);
    super(new CoreFrames(core), core.levels);
    this.core = core;
    this.domain = {
      id: -1,
      name: path.slice(path.lastIndexOf("/") + 1),
      uuid: "00000000-0000-0000-0000-000000000000",
    };
  }

  get cpus(): readonly CpuState[] {
    return this.core.cpus;
  }

  /** Nothing changes in a core. */
  refresh(): void {
    this.looks++;
  }

  /** A core is of a guest that was alive. */
  assertAlive(): void {}

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.core[Symbol.dispose]();
  }
}
