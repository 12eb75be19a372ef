import { assertEquals } from "@std/assert";
import { run } from "./testing/run.ts";
import { sha256 } from "./sha256.ts";

Deno.test("the digest is that of FIPS 180-4", () => {
  assertEquals(
    sha256(new TextEncoder().encode("abc")),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
  assertEquals(
    sha256(new Uint8Array()),
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  );
});

Deno.test("few bytes and many have the digest that coreutils find", async () => {
  const path = await Deno.makeTempFile();
  try {
    for (const size of [1 << 20, (1 << 20) + 1]) {
      const bytes = new Uint8Array(size).map((_, i) => i * 7 + (i >> 8));
      await Deno.writeFile(path, bytes);
      const [expected] = (await run("sha256sum", path)).split(" ");
      assertEquals(sha256(bytes), expected);
    }
  } finally {
    await Deno.remove(path);
  }
});
