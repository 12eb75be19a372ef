import { assertEquals, assertThrows } from "@std/assert";
import { KernelFile } from "./kernel_file.ts";
import { chooseProfile } from "./profiles.ts";
import { elfImage } from "./testing/elf_image.ts";

function kernel(os?: string): KernelFile {
  const notes = os === undefined
    ? []
    : [{ owner: "Xen", type: 6, description: os }];
  return new KernelFile("/boot/kernel", elfImage({ notes }).bytes);
}

Deno.test("the kernel file's notes choose the profile", () => {
  assertEquals(chooseProfile(kernel("SimpleOS")).name, "simpleos");
});

Deno.test("a kernel of Linux is known by its notes, and taken for granted without a file", () => {
  assertEquals(chooseProfile(kernel("linux")).name, "linux");
  assertEquals(chooseProfile(undefined).name, "linux");
});

Deno.test("a name chooses the profile whatever the notes say", () => {
  assertEquals(chooseProfile(kernel("NetBSD"), "simpleos").name, "simpleos");
});

Deno.test("an unknown name is told with the known ones", () => {
  assertThrows(
    () => chooseProfile(kernel("SimpleOS"), "windows"),
    RangeError,
    'No profile is called "windows"; known: linux, simpleos',
  );
});

Deno.test("a kernel that none recognises is told by what it says it is", () => {
  assertThrows(
    () => chooseProfile(kernel("NetBSD")),
    RangeError,
    'No profile fits /boot/kernel (guest OS "NetBSD"); known: linux, simpleos',
  );
  assertThrows(
    () => chooseProfile(kernel()),
    RangeError,
    "No profile fits /boot/kernel (it has no note of its guest OS)",
  );
});
