import type { TextSite } from "../sites.ts";
import { inText, type Patching, relativeOffsets } from "./patching.ts";

const LOCK = 0xf0;
/** `ds`, which does nothing, in place of the prefix on one processor */
const NO_LOCK = 0x3e;

/** Lock prefixes, which one processor does not need (`.smp_locks`). */
export function* lockPrefixes(patching: Patching): Generator<TextSite> {
  const { image } = patching;
  const patched = image.offset("uniproc_patched");
  if (patched === undefined) return;
  for (const at of relativeOffsets(image, image.section(".smp_locks"))) {
    if (!inText(patching, at, 1) || image.bytes[at] !== LOCK) continue;
    yield {
      kind: "lock prefix",
      at,
      size: 1,
      forms: (guest) => [
        Uint8Array.of(guest.u8(patched) === 0 ? LOCK : NO_LOCK),
      ],
      others: [Uint8Array.of(LOCK), Uint8Array.of(NO_LOCK)],
    };
  }
}
