import { isBootLoader } from "../../../guestos/boot_loader.ts";
import { elf32Image } from "../../../guestos/testing/elf32_image.ts";
import type { Target } from "../target.ts";

const bytes = elf32Image({
  owner: "Xen",
  type: 18,
  description: Uint8Array.of(0, 0, 16, 0),
});

/** A file that Xen boots, which may be a boot loader. */
export const bootLoader: Target = {
  name: "boot_loader",
  seeds: [{ bytes, ranges: [[16, bytes.length]] }],
  limit: 1000,
  read: isBootLoader,
};
