import type { ImagePart } from "../linux_image.ts";
import type { TextSite } from "../sites.ts";
import { inText, type Patching, relativeOffsets } from "./patching.ts";

const LOCK = 0xf0;
/** `ds`, which does nothing, in place of the prefix on one processor */
const NO_LOCK = 0x3e;

/**
 * Lock prefixes, which one processor does not need (`.smp_locks`).
 *
 * @param sure The code in which they are replaced for sure, all if left out:
 *   of a module the kernel replaces those of its section `.text`, and all only
 *   since 6.2 (`module_finalize` in arch/x86/kernel/module.c)
 */
export function* lockPrefixes(
  patching: Patching,
  sure?: ImagePart,
): Generator<TextSite> {
  const { image } = patching;
  const patched = image.offset("uniproc_patched");
  if (patched === undefined) return;
  for (const at of relativeOffsets(image, image.section(".smp_locks"))) {
    if (!inText(patching, at, 1) || image.bytes[at] !== LOCK) continue;
    const isSure = sure === undefined ||
      at >= sure.offset && at < sure.offset + sure.size;
    const replaced = isSure ? [NO_LOCK] : [NO_LOCK, LOCK];
    yield {
      kind: "lock prefix",
      at,
      size: 1,
      forms: (guest) =>
        (guest.u8(patched) === 0 ? [LOCK] : replaced).map((byte) =>
          Uint8Array.of(byte)
        ),
      others: [Uint8Array.of(LOCK), Uint8Array.of(NO_LOCK)],
    };
  }
}
