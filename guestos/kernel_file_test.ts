import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { KernelFile, readKernelFile } from "./kernel_file.ts";
import { sha256 } from "./sha256.ts";
import { bzImage } from "./testing/bz_image.ts";
import { elfImage } from "./testing/elf_image.ts";
import { packedKernel } from "./testing/packed_kernel.ts";
import { run } from "./testing/run.ts";
import { XenNote } from "./xen_note.ts";

const { bytes } = elfImage({
  notes: [
    { owner: "GNU", type: 6, description: "not Xen's" },
    { owner: "Xen", type: 6, description: "SimpleOS" },
    { owner: "Xen", type: 7, description: "\x1b[31mred" },
    { owner: "Xen", type: 5, description: new TextEncoder().encode("xen-3.0") },
    { owner: "Xen", type: 3, description: Uint8Array.of(65, 0, 0, 0) },
  ],
});

Deno.test("Xen's notes are text where they hold text, else bytes", () => {
  const kernel = new KernelFile("/boot/kernel", bytes);
  assertEquals(kernel.xenNote(XenNote.GUEST_OS), "SimpleOS");
  assertEquals(kernel.xenNote(XenNote.XEN_VERSION), "xen-3.0");
  assertEquals(kernel.xenNote(XenNote.VIRT_BASE), Uint8Array.of(65, 0, 0, 0));
  assertEquals(kernel.xenNote(XenNote.LOADER), undefined);
});

Deno.test("a note that would control a terminal is no text", () => {
  const kernel = new KernelFile("/boot/kernel", bytes);
  assertEquals(typeof kernel.xenNote(XenNote.GUEST_VERSION), "object");
});

Deno.test("the payload of an ELF file is the file", () => {
  assert(new KernelFile("/boot/kernel", bytes).payload === bytes);
});

Deno.test("a compressed kernel has the digest of the file and the notes of the kernel", async () => {
  const relocations = [0, 0x10, 0x20, 0x30];
  const unpacked = new Uint8Array([...bytes, ...relocations]);
  const image = bzImage({ payload: await packedKernel(unpacked, "xz") });
  const kernel = new KernelFile("/boot/vmlinuz", image.bytes);
  assertEquals(kernel.xenNote(XenNote.GUEST_OS), "SimpleOS");
  assertEquals(kernel.payload, unpacked);
  assertEquals(kernel.sha256, sha256(image.bytes));
});

Deno.test("a compressed file that holds no kernel is told by its path", async () => {
  const other = elfImage({ machine: 183 }).bytes;
  for (
    const [content, reason] of [
      [other, "is an ELF file for AArch64"],
      [other.slice(0, 32), "ends within its header"],
      [new Uint8Array(64), "does not begin with the ELF magic"],
    ] as const
  ) {
    const { bytes } = bzImage({ payload: await packedKernel(content, "lz4") });
    const error = assertThrows(
      () => new KernelFile("/boot/vmlinuz", bytes),
      SyntaxError,
      "The kernel in /boot/vmlinuz is ",
    );
    assert(error.message.includes(reason), error.message);
  }
});

Deno.test("a kernel file has its real path and the digest that coreutils find", async () => {
  const directory = await Deno.realPath(await Deno.makeTempDir());
  try {
    const path = `${directory}/kernel`;
    await Deno.writeFile(path, bytes);
    await Deno.symlink("kernel", `${directory}/link`);
    const kernel = await readKernelFile(`${directory}/link`);
    assertEquals(kernel.path, path);
    assertEquals(kernel.sha256, (await run("sha256sum", path)).split(" ")[0]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a path that leads to no kernel file is told clearly", async () => {
  const directory = await Deno.realPath(await Deno.makeTempDir());
  try {
    await assertRejects(
      () => readKernelFile(`${directory}/none`),
      Deno.errors.NotFound,
      "none does not exist",
    );
    await assertRejects(
      () => readKernelFile(directory),
      Deno.errors.IsADirectory,
      "is a directory",
    );
    const path = `${directory}/text`;
    await Deno.writeTextFile(path, "hello\n");
    await assertRejects(
      () => readKernelFile(path),
      SyntaxError,
      `${path} is no kernel file`,
    );
    await Deno.truncate(path, 512 * 1024 * 1024 + 1);
    await assertRejects(() => readKernelFile(path), RangeError, path);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
