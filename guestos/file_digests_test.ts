import { assertEquals } from "@std/assert";
import { fileDigests } from "./file_digests.ts";

Deno.test("the digests are those of RFC 1321 and FIPS 180-4", () => {
  assertEquals(fileDigests(new TextEncoder().encode("abc")), {
    md5: "900150983cd24fb0d6963f7d28e17f72",
    sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  });
  assertEquals(fileDigests(new Uint8Array()), {
    md5: "d41d8cd98f00b204e9800998ecf8427e",
    sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  });
});
