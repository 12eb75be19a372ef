import type { ModuleDirectory } from "../module_directory.ts";
import type { KernelModule } from "./code_owners.ts";
import type { GuestState } from "./guest_state.ts";
import { KernelReader } from "./kernel_reader.ts";
import { ModuleFile, UNDEFINED } from "./module_file.ts";
import { ModuleImage } from "./module_image.ts";
import { moduleLayout } from "./module_layout.ts";
import { ftraceSites } from "./patches/ftrace_sites.ts";
import { jumpLabels } from "./patches/jump_labels.ts";
import { lockPrefixes } from "./patches/lock_prefixes.ts";
import { type BootChoices, patchOnce } from "./patches/patch_once.ts";
import { patchSites } from "./patches/patch_sites.ts";
import type { Patching } from "./patches/patching.ts";
import { staticCalls } from "./patches/static_calls.ts";
import type { TextSite } from "./sites.ts";

const BUILD_ID_NOTE = ".note.gnu.build-id";
/** What the loader leaves between sections, by version */
const GAPS = [0x00, 0xcc];

/** A module's file does not tell what its code must be. */
export class UnknownModuleError extends Error {
  override readonly name = "UnknownModuleError";
}

/** What a module's code must be, and where it may change. */
export interface PredictedModule {
  /** As many as were found */
  readonly bytes: Uint8Array;
  /** Ascending; offsets count from the kernel's `_text` */
  readonly sites: readonly TextSite[];
}

/** A loaded module's file. */
interface Matched {
  readonly file: ModuleFile;
  /** Guest virtual addresses by index of the section */
  readonly layout: ReadonlyMap<number, bigint>;
}

/** Knows from files what the code of loaded modules must be. */
export class ModulePredictor {
  #state: GuestState;
  #directory: ModuleDirectory;
  #choices: BootChoices;
  #pv: boolean;
  /** By name and place of the module: addresses by name */
  #exports = new Map<string, ReadonlyMap<string, bigint>>();

  /**
   * @param choices What the kernel chose when it booted
   * @param pv Whether it is a PV guest of Xen
   */
  constructor(
    state: GuestState,
    directory: ModuleDirectory,
    choices: BootChoices,
    pv: boolean,
  ) {
    this.#state = state;
    this.#directory = directory;
    this.#choices = choices;
    this.#pv = pv;
  }

  /**
   * What a module's code must be: that of its file, then each change that the
   * kernel makes when it loads a module (`module_finalize` in
   * arch/x86/kernel/module.c).
   *
   * @param found Its code as it is now, whole pages
   * @throws {UnknownModuleError} If there is no file of this very build
   * @throws {UnreadableMemoryError} If the guest's data cannot be read
   */
  predict(module: KernelModule, found: Uint8Array): PredictedModule {
    try {
      return this.#predict(module, found);
    } catch (error) {
      const isOfFile = error instanceof SyntaxError ||
        error instanceof RangeError || error instanceof Deno.errors.NotFound;
      if (!isOfFile) throw error;
      throw new UnknownModuleError(error.message, { cause: error });
    }
  }

  #predict(module: KernelModule, found: Uint8Array): PredictedModule {
    const { image: kernel, data } = this.#state;
    const { file, layout } = this.#match(module);
    const base = module.text.start;
    const image = new ModuleImage({
      file,
      text: module.text,
      layout,
      kernel,
      resolve: (name) => this.#resolve(name, file),
    });
    const { distance } = image;
    const { thunk, ...others } = this.#choices;
    const { offset } = thunk;
    const choices: BootChoices = {
      ...others,
      thunk: {
        ...thunk,
        offset: offset === undefined ? undefined : offset - distance,
      },
    };
    const patching: Patching = {
      image,
      text: image.bytes,
      end: image.textSize,
      found,
      guest: data.from(base),
      pv: this.#pv,
    };
    // Before anything is patched: opcodes in the file tell the size of a site
    const labels = [...jumpLabels(patching)];
    patchOnce(patching, choices);
    const sites = patchSites(patching, [
      ...labels,
      ...staticCalls(patching, choices.thunk),
      ...ftraceSites(patching),
      ...lockPrefixes(
        patching,
        // Up to 6.3 all of a module is in one piece of memory
        kernel.btf.member("module", "core_layout") === undefined
          ? undefined
          : image.section(".text"),
      ),
    ]);
    const bytes = new Uint8Array(found.length);
    bytes.set(image.bytes.subarray(0, Math.min(image.textSize, bytes.length)));
    fillGaps(bytes, found, image.gaps);
    return {
      bytes,
      sites: sites.map((site) => ({
        ...site,
        at: site.at + distance,
        forms: (guest) => site.forms(guest.from(base)),
      })),
    };
  }

  /** The file that a module was loaded from, and where its sections are. */
  #match(module: KernelModule): Matched {
    const { name } = module;
    const reader = new KernelReader(this.#state.memory, this.#state.image.btf);
    let files = 0;
    for (const { path, bytes } of this.#directory.files(name)) {
      files++;
      const file = new ModuleFile(path, bytes);
      const layout = moduleLayout(file, module, reader);
      const note = file.sections.findIndex(({ name }) =>
        name === BUILD_ID_NOTE
      );
      const at = layout.get(note);
      if (at === undefined) continue;
      // Of this very build, and its sections are where they are expected
      const { buildId } = file;
      const loaded = reader.bytes(at, buildId.length);
      if (!buildId.every((byte, index) => byte === loaded[index])) continue;
      return { file, layout };
    }
    throw new UnknownModuleError(
      files === 0
        ? `${this.#directory.path} has no file of it`
        : `it was not loaded from the file in ${this.#directory.path}`,
    );
  }

  /** What a module defines for others: all that is kept of its file. */
  #exportsOf(module: KernelModule): ReadonlyMap<string, bigint> {
    const keyOf = ({ name, address }: KernelModule) => `${name} ${address}`;
    const key = keyOf(module);
    const known = this.#exports.get(key);
    if (known !== undefined) return known;
    // A guest may load and unload without end
    const loaded = new Set(this.#state.owners.modules.map(keyOf));
    for (const key of this.#exports.keys()) {
      if (!loaded.has(key)) this.#exports.delete(key);
    }
    const { file, layout } = this.#match(module);
    const exports = new Map<string, bigint>();
    for (const { name, section, value, global } of file.symbols()) {
      const start = section === UNDEFINED ? undefined : layout.get(section);
      if (!global || start === undefined) continue;
      exports.set(name, start + BigInt(value));
    }
    this.#exports.set(key, exports);
    return exports;
  }

  /** A symbol of the kernel, or of one of the modules that a module needs. */
  #resolve(name: string, { depends }: ModuleFile): bigint | undefined {
    const { image, owners } = this.#state;
    const offset = image.offset(name);
    if (offset !== undefined) return image.address(offset);
    for (const module of owners.modules) {
      if (!depends.includes(module.name)) continue;
      const address = this.#exportsOf(module).get(name);
      if (address !== undefined) return address;
    }
    // Not in the image: per-CPU data, up to 6.14
    return image.symbolTable.address(name);
  }
}

/** Between sections is what the loader leaves there. */
function fillGaps(
  bytes: Uint8Array,
  found: Uint8Array,
  gaps: Iterable<readonly [number, number]>,
): void {
  for (const [start, end] of gaps) {
    for (let at = start; at < Math.min(end, bytes.length); at++) {
      if (GAPS.includes(found[at]!)) bytes[at] = found[at]!;
    }
  }
}
