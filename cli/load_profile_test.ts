import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DigestStore } from "../guestos/digest_store.ts";
import { readKernelFile } from "../guestos/kernel_file.ts";
import type { KernelMemory } from "../guestos/memory.ts";
import { ProfileError } from "../guestos/profile_error.ts";
import { elf32Image } from "../guestos/testing/elf32_image.ts";
import { elfImage } from "../guestos/testing/elf_image.ts";
import { XenNote } from "../guestos/xen_note.ts";
import { fakeStore } from "../xen/testing/fake_store.ts";
import { recordedKernel } from "../xen/recorded_kernel.ts";
import { checkDigest, loadKernel, openProfile } from "./load_profile.ts";
import type { Options } from "./options.ts";
import { UsageError } from "./usage_error.ts";

const TEXT = 0xffff_ffff_8000_0000n;
/** That of a PV guest, of which nothing is read: SimpleOS is known by its file. */
const noMemory = { cpus: [{ kind: "pv" }] } as unknown as KernelMemory;

/** As far as it is looked at */
const grub = elf32Image({
  owner: "Xen",
  type: XenNote.PHYS32_ENTRY,
  description: Uint8Array.of(0, 0, 16, 0),
});

/** A kernel that SimpleOS's profile opens: a page of code and one of data. */
function kernelImage(fill: number): Uint8Array {
  return elfImage({
    loads: [{ address: TEXT, bytes: new Uint8Array(0x2000).fill(fill) }],
    notes: [{
      owner: "Xen",
      type: XenNote.GUEST_OS,
      description: "SimpleOS",
    }],
    symbols: [
      { name: "_text", address: TEXT },
      { name: "_etext", address: TEXT + 0x1000n },
      { name: "__invariant_start", address: TEXT + 0x1000n },
      { name: "__invariant_end", address: TEXT + 0x2000n },
      { name: "page_fault_entry", address: TEXT + 0x10n },
      { name: "boot_complete", address: TEXT + 0x3000n },
    ],
  }).bytes;
}

interface Setting {
  readonly file: string;
  readonly digests: string;
  readonly options: Options;
}

async function withKernel(use: (setting: Setting) => Promise<void>) {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    const file = `${folder}/kernel`;
    const digests = `${folder}/kernels.json`;
    await Deno.writeFile(file, kernelImage(1));
    const options = { digests, firstReading: false } as Options;
    await use({ file, digests, options });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function storeWith(kernel: string) {
  return fakeStore({
    "/local/domain/7/vm": "/vm/some-uuid",
    "/vm/some-uuid/image/kernel": kernel,
  });
}

Deno.test("the kernel file is the one that the toolstack recorded", () => {
  assertEquals(recordedKernel(storeWith("/boot/guest"), 7), "/boot/guest");
  assertEquals(recordedKernel(fakeStore({}), 7), undefined);
});

Deno.test("a kernel that is not enrolled is told, with the way to enroll it", () =>
  withKernel(async ({ file, digests }) => {
    const kernel = await readKernelFile(file);
    const notice = await checkDigest(kernel, digests);
    assert(notice.includes("is not enrolled"), notice);
    assert(notice.endsWith(`xkmon enroll ${file}`), notice);
    assert(notice.includes(kernel.sha256), notice);
  }));

Deno.test("an enrolled kernel is told as such", () =>
  withKernel(async ({ file, digests }) => {
    await (await DigestStore.open(digests)).enroll(file);
    const notice = await checkDigest(await readKernelFile(file), digests);
    assert(notice.includes("is as enrolled on 20"), notice);
  }));

Deno.test("a kernel that was changed after it was enrolled is refused", () =>
  withKernel(async ({ file, digests }) => {
    const { sha256 } = await (await DigestStore.open(digests)).enroll(file);
    await Deno.writeFile(file, kernelImage(2));
    const kernel = await readKernelFile(file);
    const { message } = await assertRejects(
      () => checkDigest(kernel, digests),
      UsageError,
    );
    assert(message.includes(`${kernel.sha256}, not ${sha256}`), message);
    assert(!message.includes("\n"), message);
  }));

Deno.test("a store of digests that is damaged is not taken for an empty one", () =>
  withKernel(async ({ file, digests }) => {
    await Deno.writeTextFile(digests, "{");
    await assertRejects(
      async () => checkDigest(await readKernelFile(file), digests),
      SyntaxError,
      "damaged",
    );
  }));

/** A toolstack that knows a guest's kernel file, or none. */
function recorded(path: string | undefined) {
  return () => Promise.resolve(path);
}

Deno.test("the recorded kernel fills the profile that its notes choose", () =>
  withKernel(async ({ file, options }) => {
    const loaded = await loadKernel(recorded(file), options);
    assertEquals(loaded.kernel?.path, file);
    assertEquals(loaded.notices.length, 1);
    const { profile, notices } = openProfile(loaded, noMemory, options);
    assertEquals([profile.os, notices], ["SimpleOS", []]);
    assertEquals(profile.regions.map(({ trusted }) => trusted?.[0]), [1, 1]);
  }));

Deno.test("a kernel that is named wins over the recorded one", () =>
  withKernel(async ({ file, options }) => {
    const asked = () => Promise.reject(new Error("It is not to be asked"));
    const { kernel } = await loadKernel(asked, { ...options, kernel: file });
    assertEquals(kernel?.path, file);
  }));

Deno.test("with a first reading no byte of the file is trusted, and this is said", () =>
  withKernel(async ({ file, options }) => {
    const loaded = await loadKernel(recorded(file), options);
    const { profile, notices } = openProfile(loaded, noMemory, {
      ...options,
      firstReading: true,
    });
    assertEquals(profile.regions.length, 2);
    assertEquals(profile.regions.filter((region) => "trusted" in region), []);
    assert(notices.at(-1)!.includes("first reading"), notices.at(-1));
  }));

Deno.test("a kernel that is not there or no ELF file is refused", () =>
  withKernel(async ({ file, options }) => {
    await assertRejects(
      () => loadKernel(recorded(`${file}-gone`), options),
      Deno.errors.NotFound,
    );
    await Deno.writeTextFile(file, "no ELF file, but long enough to be one");
    await assertRejects(() => loadKernel(recorded(file), options), SyntaxError);
  }));

Deno.test("SimpleOS without its kernel file is refused with what to do", async () => {
  const options = { profile: "simpleos" } as Options;
  const loaded = await loadKernel(recorded(undefined), options);
  assertThrows(
    () => openProfile(loaded, noMemory, options),
    ProfileError,
    "name it with --kernel FILE",
  );
});

Deno.test("a boot loader that xl booted is taken for no kernel, and named", () =>
  withKernel(async ({ file, options }) => {
    await Deno.writeFile(file, grub);
    const loaded = await loadKernel(recorded(file), options);
    assert(loaded.kernel === undefined);
    assertEquals(
      loaded.lack,
      `${file}, which xl booted, is a boot loader and not the kernel`,
    );
    assertEquals(loaded.notices.length, 1);
    assert(loaded.notices[0]!.includes("is not enrolled"), loaded.notices[0]);
  }));

Deno.test("a boot loader that is named as the kernel is refused", () =>
  withKernel(async ({ file, options }) => {
    await Deno.writeFile(file, grub);
    await assertRejects(
      () => loadKernel(recorded(file), { ...options, kernel: file }),
      SyntaxError,
      file,
    );
  }));

Deno.test("a boot loader in the place of an enrolled kernel is refused", () =>
  withKernel(async ({ file, digests, options }) => {
    await (await DigestStore.open(digests)).enroll(file);
    await Deno.writeFile(file, grub);
    await assertRejects(
      () => loadKernel(recorded(file), options),
      UsageError,
      "is not the kernel file that was enrolled",
    );
  }));

Deno.test("a directory of modules that is none, or has none, is refused with what to do", () =>
  withKernel(async ({ file, options }) => {
    const refused = (modules: string, message: string) =>
      assertRejects(
        () => loadKernel(recorded(file), { ...options, modules }),
        UsageError,
        message,
      );
    for (const path of [file, `${file}-gone`]) {
      await refused(path, `--modules takes a directory, and ${path} is none`);
    }
    const empty = await Deno.makeTempDir();
    await refused(empty, `${empty} has no files of kernel modules (.ko)`);
    await Deno.remove(empty);
  }));
