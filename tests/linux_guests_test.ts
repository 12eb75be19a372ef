import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { fetchKernel, Lab, LINUX_KERNELS, linuxGuest } from "./lab/mod.ts";
import { kernelModules } from "./lab/kernel_modules.ts";
import { LONG } from "./support/long.ts";
import { type LinuxBoot, linuxCore } from "./linux/linux_core.ts";

/** Whether a file holds these bytes. */
async function holds(path: string, bytes: Uint8Array): Promise<boolean> {
  // One byte is one character, so that a search for text can be used.
  const decoder = new TextDecoder("latin1");
  const wanted = decoder.decode(bytes);
  let rest = "";
  using file = await Deno.open(path);
  const buffer = new Uint8Array(2 ** 24);
  while (true) {
    const count = await file.read(buffer);
    if (count === null) return false;
    const text = rest + decoder.decode(buffer.subarray(0, count));
    if (text.includes(wanted)) return true;
    rest = text.slice(-wanted.length);
  }
}

Deno.test("kernels come from other suites than the host's, with their modules", async () => {
  const { package: name, suite } = LINUX_KERNELS["7.2"];
  const kernel = await fetchKernel(name, suite);
  assertMatch(kernel.release, /^\d+\.\d+\..*-amd64$/);
  const magic = (await Deno.readFile(kernel.vmlinux)).subarray(0, 4);
  assertEquals(new TextDecoder().decode(magic), "\x7fELF");
  const modules = await kernelModules(kernel.modules, ["9p"]);
  assert(modules.some(({ name }) => name === "9pnet"));
  assertEquals(modules.at(-1)!.name, "9p");
  assertStringIncludes(
    await Deno.readTextFile(kernel.config),
    "\nCONFIG_XEN_PVH=y\n",
  );
});

Deno.test({
  name: "Linux runs as a PV and as a PVH guest, from its stock image",
  // Whatever is tried on such a guest needs that as well
  ignore: !LONG,
  fn: async () => {
    const { kernel, ramdisk, config } = await linuxGuest("6.1");
    await using lab = await Lab.start({
      files: [
        { from: kernel.image, to: "/boot/vmlinuz" },
        { from: ramdisk, to: "/boot/initrd" },
      ],
    });
    for (const type of ["pv", "pvh"] as const) {
      const guest = await lab.createGuest({
        ...config[type],
        name: type,
        kernel: "/boot/vmlinuz",
        ramdisk: "/boot/initrd",
      });
      await guest.waitForConsole(/guest ready/, 120_000);
    }
  },
});

// xl takes minutes for the core of a PVH guest
const CORES: readonly LinuxBoot[] = LONG
  ? ["pv", "pvh", "kaslr"]
  : ["pv", "kaslr"];
for (const boot of CORES) {
  Deno.test(`a core of Linux (${boot}) holds what ran, with the guest's own words`, async () => {
    const core = await linuxCore("6.1", boot);
    assertEquals(core.release, core.kernel.release);
    assertMatch(core.cpuModel, /EPYC/);
    const bytes = new Uint8Array(18);
    using file = await Deno.open(core.core);
    await file.read(bytes);
    // 64 bits, little endian; then the type: a core.
    assertEquals([...bytes.subarray(0, 6)], [0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    assertEquals(bytes[16], 4);
    const version = await Deno.readFile(`${core.report}/version`);
    assert(await holds(core.core, version));

    const kallsyms = await Deno.readTextFile(core.kallsyms);
    const text = BigInt(`0x${kallsyms.match(/^(\w+) T _text$/m)![1]}`);
    assert(kallsyms.split("\n").length > 90_000);
    if (boot === "kaslr") {
      assertEquals(text & 0x1fffffn, 0n);
      assert(text >= 0xffffffff81000000n && text < 0xffffffffc0000000n);
    } else {
      assertEquals(text, 0xffffffff81000000n);
      assertEquals(core.kernelInDom0, `/boot/vmlinuz-${core.release}`);
    }
  });
}
