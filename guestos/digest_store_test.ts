import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { DigestStore } from "./digest_store.ts";
import { fileDigests } from "./file_digests.ts";

async function inDirectory(
  test: (directory: string, store: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.realPath(await Deno.makeTempDir());
  try {
    await test(directory, `${directory}/var/lib/kernels.json`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function sha256(text: string): string {
  return fileDigests(new TextEncoder().encode(text)).sha256;
}

Deno.test("what was enrolled is known to the next that opens the store", () =>
  inDirectory(async (directory, path) => {
    const kernel = `${directory}/kernel`;
    await Deno.writeTextFile(kernel, "abc");
    const entry = await (await DigestStore.open(path)).enroll(kernel);
    assertEquals(
      { ...entry, enrolled: "" },
      {
        path: kernel,
        size: 3,
        md5: "900150983cd24fb0d6963f7d28e17f72",
        sha256: sha256("abc"),
        enrolled: "",
      },
    );
    assertMatch(entry.enrolled, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const store = await DigestStore.open(path);
    assertEquals(store.entries, [entry]);
    assertEquals(store.check(entry), { state: "enrolled", entry });
    assertEquals(store.check({ path: kernel, sha256: sha256("abd") }), {
      state: "changed",
      entry,
    });
  }));

Deno.test("a known content under another path is enrolled, an unknown one is not", () =>
  inDirectory(async (directory, path) => {
    const kernel = `${directory}/kernel`;
    await Deno.writeTextFile(kernel, "abc");
    const store = await DigestStore.open(path);
    assertEquals(store.check({ path: kernel, sha256: sha256("abc") }), {
      state: "unknown",
    });
    const entry = await store.enroll(kernel);
    assertEquals(store.check({ path: "/other", sha256: sha256("abc") }), {
      state: "enrolled",
      entry,
    });
    assertEquals(store.check({ path: "/other", sha256: sha256("x") }), {
      state: "unknown",
    });
  }));

Deno.test("a path whose content became another enrolled one has changed", () =>
  inDirectory(async (directory, path) => {
    await Deno.writeTextFile(`${directory}/a`, "a");
    await Deno.writeTextFile(`${directory}/b`, "b");
    const store = await DigestStore.open(path);
    const entry = await store.enroll(`${directory}/a`);
    await store.enroll(`${directory}/b`);
    assertEquals(store.check({ path: `${directory}/a`, sha256: sha256("b") }), {
      state: "changed",
      entry,
    });
  }));

Deno.test("enrolling a path again replaces its digests, links count as their target", () =>
  inDirectory(async (directory, path) => {
    const kernel = `${directory}/kernel`;
    await Deno.writeTextFile(kernel, "one");
    await Deno.symlink("kernel", `${directory}/link`);
    const store = await DigestStore.open(path);
    await store.enroll(kernel);
    await Deno.writeTextFile(kernel, "two");
    await store.enroll(`${directory}/link`);
    const { entries } = await DigestStore.open(path);
    assertEquals(
      entries.map(({ path, sha256 }) => ({ path, sha256 })),
      [{ path: kernel, sha256: sha256("two") }],
    );
  }));

Deno.test("only root reads the store, and no temporary file stays", () =>
  inDirectory(async (directory, path) => {
    await Deno.writeTextFile(`${directory}/kernel`, "abc");
    // What a run that was killed left behind is no obstacle
    await Deno.mkdir(`${directory}/var/lib`, { recursive: true });
    await Deno.writeTextFile(`${path}.new`, "half");
    await (await DigestStore.open(path)).enroll(`${directory}/kernel`);
    assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
    const names = [...Deno.readDirSync(`${directory}/var/lib`)]
      .map(({ name }) => name).sort();
    assertEquals(names, ["kernels.json", "kernels.json.lock"]);
  }));

Deno.test("the directory of a new store belongs to its owner alone", () =>
  inDirectory(async (directory, path) => {
    await Deno.writeTextFile(`${directory}/kernel`, "abc");
    await (await DigestStore.open(path)).enroll(`${directory}/kernel`);
    assertEquals(
      (await Deno.stat(`${directory}/var/lib`)).mode! & 0o777,
      0o700,
    );
  }));

Deno.test("stores open at the same time lose none of each other's kernels", () =>
  inDirectory(async (directory, path) => {
    const names = Array.from(
      { length: 8 },
      (_, i) => `${directory}/kernel${i}`,
    );
    await Promise.all(names.map(async (name) => {
      await Deno.writeTextFile(name, name);
      await (await DigestStore.open(path)).enroll(name);
    }));
    const { entries } = await DigestStore.open(path);
    assertEquals(entries.map(({ path }) => path), names);
  }));

Deno.test("a lock that another process keeps is given up on", () =>
  inDirectory(async (directory, path) => {
    await Deno.writeTextFile(`${directory}/kernel`, "abc");
    const store = await DigestStore.open(path);
    await store.enroll(`${directory}/kernel`);
    using file = await Deno.open(`${path}.lock`, { write: true });
    await file.lock(true);
    await assertRejects(
      () => store.enroll(`${directory}/kernel`),
      Deno.errors.TimedOut,
      `${path}.lock`,
    );
  }));

Deno.test("a store that cannot be written stays what it was", () =>
  inDirectory(async (directory, path) => {
    await Deno.writeTextFile(`${directory}/kernel`, "abc");
    const store = await DigestStore.open(path);
    await store.enroll(`${directory}/kernel`);
    const before = await Deno.readTextFile(path);
    // A directory where the temporary file would be
    await Deno.mkdir(`${path}.new/full`, { recursive: true });
    await Deno.writeTextFile(`${directory}/kernel`, "new");
    await assertRejects(() => store.enroll(`${directory}/kernel`), Error);
    assertEquals(await Deno.readTextFile(path), before);
    assertEquals(
      store.check({ path: `${directory}/kernel`, sha256: sha256("abc") }).state,
      "enrolled",
    );
  }));

Deno.test("a store that does not exist is empty", () =>
  inDirectory(async (_, path) => {
    assertEquals((await DigestStore.open(path)).entries, []);
  }));

Deno.test("a damaged store is told with the way out, and never overwritten", () =>
  inDirectory(async (directory, path) => {
    await Deno.writeTextFile(`${directory}/kernel`, "abc");
    const store = await DigestStore.open(path);
    const entry = await store.enroll(`${directory}/kernel`);
    const sound = { version: 1, kernels: [entry] };
    for (
      const [content, reason] of [
        ["", "it is no JSON"],
        ['{"version":1,"kernels":[', "it is no JSON"],
        ["\xff", "it is no JSON"],
        ["null", "no version"],
        ["[]", "no version"],
        ['{"version":1}', "no list"],
        ['{"version":1,"kernels":[null]}', "entry 1 is malformed"],
        [{ ...sound, kernels: [entry, entry] }, "is in it twice"],
        [{ ...sound, kernels: [{ ...entry, sha256: "0" }] }, "malformed"],
        [{ ...sound, kernels: [{ ...entry, md5: 0 }] }, "malformed"],
        [{ ...sound, kernels: [{ ...entry, path: "kernel" }] }, "malformed"],
        [{ ...sound, kernels: [{ ...entry, size: -1 }] }, "malformed"],
        [{ ...sound, kernels: [{ ...entry, enrolled: "now" }] }, "malformed"],
      ] as const
    ) {
      const text = typeof content === "string"
        ? content
        : JSON.stringify(content);
      const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
      await Deno.writeFile(path, bytes);
      const error = await assertRejects(
        () => DigestStore.open(path),
        SyntaxError,
        reason,
      );
      assertMatch(error.message, /restore it from a backup, or remove it/);
      await assertRejects(
        () => store.enroll(`${directory}/kernel`),
        SyntaxError,
      );
      assertEquals(await Deno.readFile(path), bytes);
    }
  }));

Deno.test("a store of a later version is not read", () =>
  inDirectory(async (directory, _) => {
    const path = `${directory}/kernels.json`;
    await Deno.writeTextFile(path, '{"version":2,"kernels":[]}');
    await assertRejects(
      () => DigestStore.open(path),
      SyntaxError,
      "has version 2, and only version 1 is understood",
    );
  }));

Deno.test("what is no file or is empty is not enrolled", () =>
  inDirectory(async (directory, path) => {
    const store = await DigestStore.open(path);
    await Deno.writeTextFile(`${directory}/empty`, "");
    await assertRejects(
      () => store.enroll(directory),
      Deno.errors.IsADirectory,
    );
    await assertRejects(
      () => store.enroll(`${directory}/none`),
      Deno.errors.NotFound,
    );
    await assertRejects(
      () => store.enroll(`${directory}/empty`),
      RangeError,
      "is empty",
    );
    assertEquals((await DigestStore.open(path)).entries, []);
  }));
