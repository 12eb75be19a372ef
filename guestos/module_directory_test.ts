import { assertEquals, assertThrows } from "@std/assert";
import { ModuleDirectory } from "./module_directory.ts";
import { pipeThrough } from "./testing/pipe_through.ts";

const CONTENT = new TextEncoder().encode("\x7fELF and the rest of a module");

/** Runs on a directory like `/lib/modules/6.1.0`. */
async function withDirectory(
  files: Readonly<Record<string, Uint8Array>>,
  run: (path: string) => void,
): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${path}/kernel/fs`, { recursive: true });
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.writeFile(`${path}/${name}`, bytes);
    }
    run(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test("files are found by the kernel's names, however they are packed", async () => {
  await withDirectory({
    "kernel/plain.ko": CONTENT,
    "kernel/fs/snd-pcm.ko.xz": await pipeThrough(
      CONTENT,
      "xz",
      "--check=crc32",
    ),
    "kernel/fs/by_gzip.ko.gz": await pipeThrough(CONTENT, "gzip"),
    "kernel/fs/by_zstd.ko.zst": await pipeThrough(CONTENT, "zstd"),
    "kernel/fs/modules.dep": CONTENT,
  }, (path) => {
    const modules = new ModuleDirectory(path);
    assertEquals(modules.size, 4);
    for (const name of ["plain", "snd_pcm", "by_gzip", "by_zstd"]) {
      assertEquals(
        [...modules.files(name)].map(({ bytes }) => bytes),
        [CONTENT],
        name,
      );
    }
    assertEquals([...modules.files("other")], []);
  });
});

Deno.test("a module of several kernels has several files", async () => {
  await withDirectory(
    { "kernel/lab.ko": CONTENT, "kernel/fs/lab.ko": CONTENT },
    (path) => {
      const files = [...new ModuleDirectory(path).files("lab")];
      assertEquals(files.map(({ path }) => path.split("/").at(-1)), [
        "lab.ko",
        "lab.ko",
      ]);
    },
  );
});

Deno.test("a damaged file is told by its name", async () => {
  const packed = await pipeThrough(CONTENT, "xz", "--check=crc32");
  for (let size = 6; size < packed.length; size++) {
    await withDirectory(
      { "kernel/lab.ko.xz": packed.slice(0, size) },
      (path) =>
        assertThrows(
          () => [...new ModuleDirectory(path).files("lab")],
          SyntaxError,
          "/kernel/lab.ko.xz ",
        ),
    );
  }
});

Deno.test("a directory without modules is refused", async () => {
  await withDirectory({}, (path) =>
    assertThrows(
      () => new ModuleDirectory(path),
      RangeError,
      "has no files of kernel modules (.ko)",
    ));
  assertThrows(() => new ModuleDirectory("/nowhere"), Deno.errors.NotFound);
});
