import { assert, assertEquals, assertRejects } from "@std/assert";
import { createPaused, destroyGuest, dumpCore, readGuestConfig } from "./xl.ts";

/**
 * Runs with a stand-in for xl as the only program there is.
 *
 * @param script Body of a shell script; none for a host without xl
 */
async function withXl(
  script: string | undefined,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = Deno.env.get("PATH")!;
  try {
    if (script !== undefined) {
      await Deno.writeTextFile(`${folder}/xl`, `#!/bin/sh\n${script}\n`, {
        mode: 0o755,
      });
    }
    Deno.env.set("PATH", folder);
    await use(folder);
  } finally {
    Deno.env.set("PATH", path);
    await Deno.remove(folder, { recursive: true });
  }
}

function answer(json: unknown): string {
  return `/bin/cat <<'END'\n${JSON.stringify(json)}\nEND`;
}

Deno.test("a host without xl is told so", () =>
  withXl(undefined, async () => {
    const error = await assertRejects(
      () => readGuestConfig("guest.cfg"),
      Deno.errors.NotFound,
    );
    assertEquals(
      error.message,
      "xl was not found: it comes with Xen's tools (xen-utils)",
    );
    await assertRejects(() => destroyGuest("web"), Deno.errors.NotFound);
  }));

Deno.test("a configuration is what xl understands of it", () =>
  withXl(
    answer({
      c_info: { type: "pv", name: "web" },
      b_info: { kernel: "/boot/guest" },
    }),
    async () => {
      assertEquals(await readGuestConfig("guest.cfg"), {
        name: "web",
        type: "pv",
        kernel: "/boot/guest",
      });
    },
  ));

Deno.test("older releases keep the kernel elsewhere", () =>
  withXl(
    answer({
      c_info: { type: "pv", name: "web" },
      b_info: { "type.pv": { kernel: "/boot/guest" } },
    }),
    async () => {
      assertEquals((await readGuestConfig("c")).kernel, "/boot/guest");
    },
  ));

Deno.test("a guest without a kernel file has none", () =>
  withXl(
    answer({ c_info: { type: "hvm", name: "web" }, b_info: {} }),
    async () => {
      assertEquals(await readGuestConfig("c"), { name: "web", type: "hvm" });
    },
  ));

Deno.test("what xl complains of is told in one line", () =>
  withXl(
    "echo 'guest.cfg: no such file' >&2; echo more >&2; exit 1",
    async () => {
      const error = await assertRejects(() => readGuestConfig("guest.cfg"));
      assert(error.message.startsWith("xl create: "), error.message);
      assert(error.message.includes("guest.cfg: no such file"), error.message);
      assertEquals(error.message.includes("\n"), false);
    },
  ));

Deno.test("xl is asked for what is meant", () =>
  withXl('echo "$*" >>"${0%/*}/asked"', async (folder) => {
    await createPaused("guest.cfg");
    await destroyGuest("web");
    assertEquals(
      await Deno.readTextFile(`${folder}/asked`),
      "create -p --quiet guest.cfg\ndestroy web\n",
    );
  }));

Deno.test("a core is for its owner's eyes", () =>
  withXl('echo core >"$3"', async (folder) => {
    const signal = AbortSignal.timeout(10_000);
    await dumpCore(3, `${folder}/memory.core`, signal);
    assertEquals(await Deno.readTextFile(`${folder}/memory.core`), "core\n");
    const { mode } = await Deno.stat(`${folder}/memory.core`);
    assertEquals(mode! & 0o777, 0o600);
  }));

Deno.test("a core that takes too long is given up, and so is one that is not waited for", () =>
  withXl("exec /bin/sleep 60", async (folder) => {
    const dump = async (name: string, signal: AbortSignal) => {
      const path = `${folder}/${name}`;
      const error = await assertRejects(() => dumpCore(3, path, signal));
      return (error as Error).message;
    };
    assertEquals(
      await dump("a", AbortSignal.timeout(50)),
      "xl dump-core: it took too long",
    );
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 50);
    assertEquals(await dump("b", stop.signal), "xl dump-core: it was ended");
  }));
