import { assertEquals, assertThrows } from "@std/assert";
import { KernelFile } from "../kernel_file.ts";
import { ProfileError } from "../profile_error.ts";
import { elfImage } from "../testing/elf_image.ts";
import { imageOfFile } from "./image_of_file.ts";

const LINK_BASE = 0xffff_ffff_8100_0000n;

function kernelAt(
  address: bigint,
  { memorySize }: { memorySize?: bigint } = {},
): KernelFile {
  return new KernelFile(
    "/boot/vmlinux",
    elfImage({
      loads: [{
        address,
        bytes: new Uint8Array(64),
        ...memorySize === undefined ? {} : { memorySize },
      }],
    }).bytes,
  );
}

Deno.test("a file that has nothing where Linux is linked to is refused", () => {
  for (const address of [0x10_0000n, 0xffff_ffff_c000_0000n]) {
    assertThrows(
      () => imageOfFile(kernelAt(address), LINK_BASE),
      SyntaxError,
      "/boot/vmlinux has nothing where Linux is linked to",
    );
  }
});

Deno.test("a file that takes more memory than any kernel is refused", () => {
  assertThrows(
    () =>
      imageOfFile(
        kernelAt(LINK_BASE, { memorySize: (256n << 20n) + 1n }),
        LINK_BASE,
      ),
    SyntaxError,
    "too large",
  );
});

Deno.test("a kernel without a table of symbols has no profile", () => {
  const error = assertThrows(
    () => imageOfFile(kernelAt(LINK_BASE), LINK_BASE),
    ProfileError,
    "/boot/vmlinux has no kallsyms",
  );
  assertEquals(error.step, "symbols");
});

Deno.test("a kernel that runs elsewhere must tell how to relocate it", () => {
  assertThrows(
    () => imageOfFile(kernelAt(LINK_BASE), LINK_BASE + 0x20_0000n),
    SyntaxError,
    "no list of relocations",
  );
});
