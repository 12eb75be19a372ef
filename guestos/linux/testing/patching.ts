import { GuestReader } from "../guest_reader.ts";
import type { Patching } from "../patches/patching.ts";
import type { ImageBuilder } from "./image_builder.ts";
import { KernelBytes } from "./kernel_bytes.ts";

/** What a test says of a kernel that is to be patched. */
export interface PatchingOptions {
  /** First offset behind the text */
  readonly end?: number;
  readonly pv?: boolean;
  /** What the guest has otherwise than the image: bytes by offset */
  readonly guest?: ReadonlyMap<number, ArrayLike<number>>;
}

/** A kernel's text on its way, with a guest that has the same bytes. */
export function patchingOf(
  builder: ImageBuilder,
  { end = 0x2000, pv = false, guest = new Map() }: PatchingOptions = {},
): Patching & { readonly memory: KernelBytes } {
  const image = builder.build();
  const memory = new KernelBytes();
  memory.write(image.base, image.bytes);
  for (const [offset, bytes] of guest) {
    memory.write(image.address(offset), bytes);
  }
  return {
    image,
    text: image.bytes,
    end,
    found: memory.read(image.base, end),
    guest: new GuestReader(memory, image.base),
    pv,
    memory,
  };
}
