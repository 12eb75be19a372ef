import type { CpuState } from "../cpu_state.ts";
import {
  type KernelMemory,
  type MappedRange,
  UnreadableMemoryError,
} from "../memory.ts";
import { ProfileError } from "../profile_error.ts";

/** Where Linux maps its image: -2 GiB to -1 GiB (Documentation/x86/x86_64/mm.rst) */
const IMAGE_START = 0xffff_ffff_8000_0000n;
const IMAGE_END = 0xffff_ffff_c000_0000n;
/** `CONFIG_PHYSICAL_ALIGN`: where an image may begin */
const ALIGNMENT = 0x20_0000n;

const PAGE_FAULT_VECTOR = 14;
const GATE_SIZE = 16;

/** Where a kernel's image is in memory. */
export interface KernelLocation {
  /** Guest virtual address of `_text` */
  readonly base: bigint;
  /** What of the image is mapped, ascending */
  readonly ranges: readonly MappedRange[];
  /** What told where it is, in words: `LSTAR` */
  readonly anchor: string;
}

/** An address in the kernel's text that the processor's state tells. */
interface Anchor {
  readonly address: bigint;
  readonly name: string;
}

function inImage(address: bigint): boolean {
  return address >= IMAGE_START && address < IMAGE_END;
}

/** Address of an IDT gate's handler; `undefined` if it cannot be read. */
function gateHandler(
  memory: KernelMemory,
  base: bigint,
  vector: number,
): bigint | undefined {
  try {
    const gate = memory.read(base + BigInt(vector * GATE_SIZE), GATE_SIZE);
    const view = new DataView(gate.buffer, gate.byteOffset, GATE_SIZE);
    return BigInt(view.getUint16(0, true)) |
      BigInt(view.getUint16(6, true)) << 16n |
      BigInt(view.getUint32(8, true)) << 32n;
  } catch (error) {
    if (error instanceof UnreadableMemoryError) return undefined;
    throw error;
  }
}

function* anchors(memory: KernelMemory, cpu: CpuState): Generator<Anchor> {
  if (cpu.kind === "pv") {
    const fault = cpu.traps.find(({ vector }) => vector === PAGE_FAULT_VECTOR);
    if (fault !== undefined) {
      yield { address: fault.address, name: "page-fault trap" };
    }
    yield { address: cpu.callbacks.syscall, name: "system call callback" };
  } else {
    if (cpu.msrs !== undefined) {
      yield { address: cpu.msrs.lstar, name: "LSTAR" };
    }
    const handler = cpu.idt &&
      gateHandler(memory, cpu.idt.base, PAGE_FAULT_VECTOR);
    if (handler !== undefined) yield { address: handler, name: "IDT" };
  }
  yield { address: cpu.ip, name: "RIP" };
}

/**
 * Finds the kernel's image by what the processors say of it: handlers that
 * are set, and the page tables in use. The tables of user mode (page-table
 * isolation) map little of the kernel: those beside them are taken then.
 *
 * @throws {ProfileError} If no processor leads to a kernel
 */
export function locateKernel(memory: KernelMemory): KernelLocation {
  for (const cpu of memory.cpus) {
    for (const root of [cpu.root, cpu.root & ~1n]) {
      // It may be freed before all is read that is to be read through it
      memory.useRoot(root, true);
      const { ranges } = memory.mapped(IMAGE_START, IMAGE_END);
      // Tables of user mode map some of the text, and no data
      if (!ranges.some(({ writable }) => writable)) continue;
      for (const { address, name } of anchors(memory, cpu)) {
        if (!inImage(address)) continue;
        const text = ranges.find(({ start, size, executable }) =>
          executable && address >= start && address < start + size
        );
        if (text === undefined || text.start % ALIGNMENT !== 0n) continue;
        return {
          base: text.start,
          ranges: ranges.filter(({ start }) => start >= text.start),
          anchor: name,
        };
      }
    }
  }
  throw new ProfileError(
    "anchor",
    "no virtual CPU leads to a Linux kernel: it may still boot, or be another system",
  );
}
