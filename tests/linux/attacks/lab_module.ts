import { CodeOwners } from "../../../guestos/linux/code_owners.ts";
import { KernelReader } from "../../../guestos/linux/kernel_reader.ts";
import { PAGE_SIZE } from "../../../xen/layouts.ts";
import { LAB_MODULE } from "./lab_module_name.ts";
import type { Target } from "./target.ts";

/** In `enum mod_mem_type`, from Linux 6.4 on */
const RODATA = 2;

/** Where the module that the attacked guests load is. */
export interface LabModule {
  readonly text: bigint;
  readonly textSize: number;
  /** Its read-only data, page aligned */
  readonly rodata: bigint;
}

/** Finds the module that the attacked guests load. */
export function labModule({ image, guest }: Target): LabModule {
  const module = new CodeOwners(image, guest).modules.find(({ name }) =>
    name === LAB_MODULE
  );
  if (module === undefined) throw new TypeError("the guest has no module");
  const { address, text } = module;
  const reader = new KernelReader(guest, image.btf);
  const stride = image.btf.sizeOf("module_memory");
  const rodata = stride === undefined
    ? text.start + BigInt(Math.ceil(text.size / PAGE_SIZE) * PAGE_SIZE)
    : reader.pointer(
      reader.member(address, "module", "mem") + BigInt(RODATA * stride),
      "module_memory",
      "base",
    );
  return { text: text.start, textSize: text.size, rodata };
}
