import { assertEquals, assertRejects } from "@std/assert";
import { readBoundedFile } from "./read_bounded_file.ts";
import { run } from "./testing/run.ts";

Deno.test("a file is read whole, up to its limit and no further", async () => {
  const path = await Deno.makeTempFile();
  try {
    const content = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);
    await Deno.writeFile(path, content);
    assertEquals(await readBoundedFile(path), content);
    assertEquals(await readBoundedFile(path, 100_000), content);
    await assertRejects(
      () => readBoundedFile(path, 99_999),
      RangeError,
      `${path} has 100000 bytes; at most 99999 bytes are read`,
    );
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("what is no regular file is refused without opening it", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await assertRejects(
      () => readBoundedFile(directory),
      Deno.errors.IsADirectory,
      `${directory} is a directory`,
    );
    await assertRejects(
      () => readBoundedFile("/dev/zero"),
      TypeError,
      "/dev/zero is no regular file",
    );
    const pipe = `${directory}/pipe`;
    await run("mkfifo", pipe);
    await assertRejects(() => readBoundedFile(pipe), TypeError, pipe);
    await assertRejects(
      () => readBoundedFile(`${directory}/none`),
      Deno.errors.NotFound,
      `${directory}/none does not exist`,
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
