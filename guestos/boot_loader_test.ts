import { assertEquals } from "@std/assert";
import { isBootLoader } from "./boot_loader.ts";
import { elf32Image } from "./testing/elf32_image.ts";
import { elfImage } from "./testing/elf_image.ts";
import { XenNote } from "./xen_note.ts";

const entry = {
  owner: "Xen",
  type: XenNote.PHYS32_ENTRY,
  description: Uint8Array.of(0, 0, 16, 0),
};

function named(description: string) {
  return { owner: "Xen", type: XenNote.GUEST_OS, description };
}

Deno.test("GRUB is known as a boot loader, for PVH and for PV guests", () => {
  assertEquals(isBootLoader(elf32Image(entry)), true);
  assertEquals(isBootLoader(elf32Image(named("GRUB"))), true);
  assertEquals(isBootLoader(elfImage({ notes: [named("GRUB")] }).bytes), true);
});

Deno.test("a kernel is no boot loader, be it one of 32 bits or without a name", () => {
  assertEquals(isBootLoader(elf32Image(named("linux"))), false);
  for (const note of [named("linux"), named("GRUB2"), entry]) {
    assertEquals(isBootLoader(elfImage({ notes: [note] }).bytes), false);
  }
});

Deno.test("what Xen does not boot is no boot loader", () => {
  assertEquals(isBootLoader(new Uint8Array()), false);
  assertEquals(isBootLoader(new Uint8Array(4096)), false);
  assertEquals(isBootLoader(elf32Image({ ...entry, owner: "GNU" })), false);
  const other = elf32Image(entry);
  other[18] = 40;
  assertEquals(isBootLoader(other), false);
});

Deno.test("a boot loader that is cut off or malformed is none", () => {
  const whole = elf32Image(entry);
  for (let size = 0; size < whole.length; size++) {
    assertEquals(isBootLoader(whole.subarray(0, size)), false, `${size} bytes`);
  }
  for (const place of [28, 42, 44, 56, 68]) {
    const bytes = whole.slice();
    bytes.fill(0xff, place, place + 2);
    bytes[place + 3] = 0xff;
    assertEquals(isBootLoader(bytes), false, `at ${place}`);
  }
});
