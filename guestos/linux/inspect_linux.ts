import type { KernelMemory } from "../memory.ts";
import { readBanner } from "./banner.ts";
import { buildId } from "./build_id.ts";
import { imageOfMemory } from "./image_of_memory.ts";
import { locateKernel } from "./locate_kernel.ts";
import { saveProfile } from "./saved_profile.ts";

/** Structures that are shown: those that the rules read, and a few known ones */
const STRUCTURES: Readonly<Record<string, readonly string[]>> = {
  task_struct: ["tasks", "pid", "comm"],
  module: ["list", "name", "core_layout", "mem", "kallsyms"],
  ftrace_ops: ["func", "next", "trampoline"],
  kprobe: ["addr", "pre_handler", "flags"],
  bpf_ksym: ["start", "end", "lnode"],
};

/** A structure of the kernel. */
export interface StructureSummary {
  readonly name: string;
  /** Bytes */
  readonly size: number;
  /** Offsets of some members, bytes; those that this kernel has */
  readonly members: Readonly<Record<string, number>>;
}

/** What a guest's memory tells of its kernel, for people. */
export interface LinuxSummary {
  readonly banner: string;
  readonly buildId: string;
  /** Guest virtual address of `_text` */
  readonly base: bigint;
  /** What told where the kernel is */
  readonly anchor: string;
  readonly symbols: number;
  readonly types: number;
  readonly structures: readonly StructureSummary[];
}

/**
 * Makes a profile of a Linux kernel from its memory alone.
 *
 * @returns What it says, and a way to keep it
 * @throws {ProfileError} If a step fails; it says which
 * @throws {UnreadableMemoryError} If the kernel's memory cannot be read
 */
export function inspectLinux(
  memory: KernelMemory,
): { readonly summary: LinuxSummary; save(): Uint8Array } {
  const location = locateKernel(memory);
  const image = imageOfMemory(memory, location);
  const banner = readBanner(image, memory);
  const { btf } = image;
  return {
    summary: {
      banner,
      buildId: buildId(image) ?? "none",
      base: image.base,
      anchor: location.anchor,
      symbols: image.symbols.size,
      types: btf.size,
      structures: Object.entries(STRUCTURES).flatMap(([name, members]) => {
        const size = btf.sizeOf(name);
        return size === undefined ? [] : [{
          name,
          size,
          members: Object.fromEntries(
            members.flatMap((member) => {
              const found = btf.member(name, member);
              return found === undefined ? [] : [[member, found.offset]];
            }),
          ),
        }];
      }),
    },
    save: () => saveProfile(image, banner),
  };
}
