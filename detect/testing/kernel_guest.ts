import type { CpuState } from "../../guestos/cpu_state.ts";
import type { MappedRange, MappedRanges } from "../../guestos/memory.ts";
import type { Mapped, NotMapped } from "../../xen/page_walk.ts";
import { SyntheticGuest } from "./synthetic_guest.ts";

const NO_EXECUTE = 1n << 63n;

/** Permissions of pages; those that are left out are not given. */
export interface Permissions {
  readonly writable?: boolean;
  readonly executable?: boolean;
}

/** A walk that tells whether the page is executable. */
export function withExecutable(walk: Mapped | NotMapped): Mapped | NotMapped {
  if (walk.kind !== "mapped") return walk;
  const executable = walk.steps.every(({ entry }) =>
    (entry & NO_EXECUTE) === 0n
  );
  return { ...walk, executable };
}

/**
 * A guest whose kernel gives its pages permissions: walks tell what is
 * executable, and neighbours with the same permissions are one range, as with
 * a true guest.
 */
export class KernelGuest extends SyntheticGuest {
  /** Maps pages with contents of their own. */
  mapAs(
    address: bigint,
    bytes: Uint8Array,
    { writable = false, executable = false }: Permissions = {},
  ): void {
    this.map(address, bytes, writable);
    if (executable) return;
    for (let at = 0n; at < bytes.length; at += 0x1000n) {
      const entry = this.entry(address + at);
      this.setEntry(address + at, entry | NO_EXECUTE);
    }
  }

  /** Gives it virtual CPUs of any kind. */
  setCpus(cpus: readonly CpuState[]): void {
    Object.assign(this, { cpus });
  }

  override walks(
    start: bigint,
    size: number,
  ): readonly (Mapped | NotMapped)[] {
    return super.walks(start, size).map(withExecutable);
  }

  override mapped(
    start: bigint,
    end: bigint,
    onlyExecutable = false,
  ): MappedRanges {
    const { ranges, complete } = super.mapped(start, end, onlyExecutable);
    const joined: MappedRange[] = [];
    const ascending = ranges.toSorted((a, b) => a.start < b.start ? -1 : 1);
    for (const range of ascending) {
      const last = joined.at(-1);
      const joins = last !== undefined &&
        last.start + last.size === range.start &&
        last.writable === range.writable &&
        last.executable === range.executable;
      if (joins) {
        joined[joined.length - 1] = { ...last, size: last.size + range.size };
      } else joined.push(range);
    }
    return { ranges: joined, complete };
  }
}
