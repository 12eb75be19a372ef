import type { ImagePart } from "../linux_image.ts";
import { inText, type Patching, relativeOffsets } from "./patching.ts";

/** With five levels of page tables; with four it is higher */
const KERNEL_HALF = 0xff00_0000_0000_0000n;

/**
 * Writes values that are constant once the kernel is up into its instructions
 * (arch/x86/include/asm/runtime-const.h, from 6.11 on). A value without a
 * symbol is told by its sites alone: all must agree.
 */
export function patchConstants(patching: Patching): void {
  const { image } = patching;
  for (const [name, part] of image.sectionsOf("runtime_ptr_")) {
    const symbol = name.slice("runtime_ptr_".length);
    const variable = image.offset(symbol);
    const value = variable === undefined
      ? commonValue(patching, part)
      : patching.guest.u64(variable);
    if (value !== undefined) patchPointers(patching, part, value);
  }
  for (const [name, part] of image.sectionsOf("runtime_shift_")) {
    const variable = image.offset(name.slice("runtime_shift_".length));
    if (variable === undefined) continue;
    const value = patching.guest.u8(variable);
    for (const at of relativeOffsets(image, part)) {
      if (inText(patching, at, 1)) patching.text[at] = value;
    }
  }
}

function patchPointers(
  patching: Patching,
  part: ImagePart,
  value: bigint,
): void {
  for (const at of relativeOffsets(patching.image, part)) {
    if (inText(patching, at, 8)) {
      patching.image.view.setBigUint64(at, value, true);
    }
  }
}

/** The pointer into the kernel's heap that all sites have. */
function commonValue(patching: Patching, part: ImagePart): bigint | undefined {
  const { found, image } = patching;
  const view = new DataView(found.buffer, found.byteOffset, found.byteLength);
  const values = new Set<bigint>();
  for (const at of relativeOffsets(image, part)) {
    if (inText(patching, at, 8)) values.add(view.getBigUint64(at, true));
  }
  const [value] = values;
  if (values.size !== 1 || value === undefined) return undefined;
  const isHeap = value >= KERNEL_HALF && value < image.base &&
    value % 8n === 0n;
  return isHeap ? value : undefined;
}
