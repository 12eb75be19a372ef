import { assert, assertEquals, assertMatch } from "@std/assert";
import { rules } from "../detect/rules.ts";
import { type Module, parseModule } from "./architecture/modules.ts";
import {
  foreignAccess,
  importCycles,
  isForTests,
  orphans,
  wrongImports,
} from "./architecture/rules.ts";

const ROOT = new URL("../", import.meta.url);
const SKIPPED = new Set([".cache", ".git", "dist", "node_modules"]);

/** Paths of all files of the tree, from its root. */
async function* listFiles(folder = ""): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(new URL(folder, ROOT))) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory) {
      if (!SKIPPED.has(entry.name)) yield* listFiles(`${path}/`);
    } else if (entry.isFile) {
      yield path;
    }
  }
}

function read(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

const paths = (await Array.fromAsync(listFiles())).sort();
const { imports: aliases } = JSON.parse(await read("deno.json"));
const modules: Module[] = await Promise.all(
  paths.filter((path) => path.endsWith(".ts")).map(async (path) =>
    parseModule(path, await read(path), aliases)
  ),
);

/** A tree of one-line modules. */
function tree(files: Readonly<Record<string, string>>): Module[] {
  return Object.entries(files).map(([path, source]) =>
    parseModule(path, source)
  );
}

Deno.test("the imports of the program are those that Deno itself sees", async () => {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "main.ts"],
    cwd: ROOT,
    signal: AbortSignal.timeout(30_000),
  }).output();
  const info = JSON.parse(new TextDecoder().decode(stdout));
  const seen = (info.modules as { specifier: string }[])
    .map(({ specifier }) => specifier)
    .filter((specifier) => specifier.startsWith(ROOT.href))
    .map((specifier) => specifier.slice(ROOT.href.length))
    .filter((path) => path.endsWith(".ts") && !path.includes("node_modules"));
  const lost = new Set(orphans(modules, ["main.ts"]));
  const reached = modules.map(({ path }) => path).filter((path) =>
    !lost.has(path)
  );
  assert(reached.length > 50, `${reached.length} modules`);
  assertEquals(reached, seen.sort());
});

Deno.test("no room takes what it must not from another one", () => {
  assertEquals(wrongImports(modules), []);
});

Deno.test("foreign memory and functions are touched in xen/ only", () => {
  assertEquals(foreignAccess(modules), []);
  const inXen = modules.filter(({ path, source }) =>
    !isForTests(path) && source.includes("Deno.dlopen(")
  );
  assertEquals(inXen.map(({ path }) => path), ["xen/open_library.ts"]);
});

Deno.test("no module imports itself in the end", () => {
  const program = modules.filter(({ path }) => !isForTests(path));
  assertEquals(importCycles(program), []);
  // Among tests types may go round, values may not
  const values = modules.map((module) => ({
    ...module,
    imports: module.imports.filter(({ values }) => values.length > 0),
  }));
  assertEquals(importCycles(values), []);
});

Deno.test("every module is reached from the program, a test or a command", async () => {
  // What a task, a script or the CI runs by its path
  const runners = paths.filter((path) =>
    /(?:^(?:deno|package)\.json|\.sh|\.ya?ml|^\.ci\/run)$/.test(path)
  );
  const scripts = (await Promise.all(runners.map(read))).join("\n");
  const commands = modules.map(({ path }) => path).filter((path) =>
    scripts.includes(path)
  );
  const tests = modules.map(({ path }) => path).filter((path) =>
    path.endsWith("_test.ts")
  );
  assertEquals(orphans(modules, ["main.ts", ...tests, ...commands]), []);
});

Deno.test("every rule has its page, and every page its rule", () => {
  const ids = Object.values(rules).map(({ id }) => id);
  assertEquals(new Set(ids).size, ids.length);
  assertEquals(
    paths.filter((path) => /^docs\/rules\/XK-/.test(path)),
    ids.map((id) => `docs/rules/${id}.md`).sort(),
  );
});

Deno.test("every rule is at work, and those of a detector in a file of its own", () => {
  const program = modules.filter(({ path }) => !isForTests(path));
  const detectors = program.filter(({ source }) =>
    /\bimplements Detector\b/.test(source)
  );
  for (const { path, source } of detectors) {
    assertMatch(source, /readonly rule = rules\.\w+;/, path);
  }
  const used = program.flatMap(({ source }) =>
    Array.from(source.matchAll(/\brules\.(\w+)/g), ([, rule]) => rule!)
  );
  assertEquals(
    Object.keys(rules).filter((rule) => !used.includes(rule)),
    [],
  );
});

Deno.test("a wrong import is seen, in each of its forms", () => {
  const wrong = wrongImports(tree({
    "guestos/a.ts": 'import type { A } from "../xen/a.ts";',
    "guestos/b.ts": 'export * from "../detect/b.ts";',
    "xen/a.ts": 'import { type A, readIt } from "../guestos/a.ts";',
    "xen/b.ts": 'import {\n  type A,\n} from "../detect/b.ts";',
    "detect/a.ts": 'import { open } from "../xen/a.ts";',
    "detect/b.ts": 'const a = await import("../xen/a.ts");',
    "detect/c.ts": 'import "../cli/c.ts";',
    "cli/a.ts": 'import { fake } from "../xen/testing/fake.ts";',
    "main.ts": 'import { open } from "../xen/a.ts";',
  }));
  assertEquals(wrong, [
    "guestos/a.ts takes types from xen/a.ts",
    "guestos/b.ts takes * from detect/b.ts",
    "xen/a.ts takes readIt from guestos/a.ts",
    "xen/b.ts takes types from detect/b.ts",
    "detect/a.ts takes open from xen/a.ts",
    "detect/b.ts takes * from xen/a.ts",
    "detect/c.ts takes * from cli/c.ts",
    "cli/a.ts takes fake from xen/testing/fake.ts",
    "main.ts takes open from xen/a.ts",
  ]);
});

Deno.test("what the rooms may take is not complained of", () => {
  assertEquals(
    wrongImports(tree({
      "guestos/a.ts": 'import { b } from "./b.ts";',
      "xen/a.ts":
        'import { type A, UnreadableMemoryError } from "../guestos/memory.ts";',
      "detect/a.ts": 'import { type A } from "../xen/a.ts";',
      "detect/b.ts": 'import { b } from "../guestos/b.ts";',
      "cli/a.ts": 'import { a } from "../xen/a.ts";',
      "main.ts": 'import { a } from "./cli/a.ts";',
      "xen/a_test.ts": 'import { b } from "../detect/b.ts";',
    })),
    [],
  );
});

Deno.test("foreign access, a cycle and an orphan are seen", () => {
  const bad = tree({
    "main.ts": 'import { a } from "./detect/a.ts";',
    "detect/a.ts":
      'import type { B } from "./b.ts";\nnew Deno.UnsafePointerView(p);',
    "detect/b.ts": 'import { c } from "./c.ts";',
    "detect/c.ts": 'import { a } from "./a.ts";',
    "detect/lost.ts": "",
    "xen/a.ts": "Deno.dlopen(name, symbols);",
  });
  assertEquals(foreignAccess(bad), ["detect/a.ts"]);
  assertEquals(importCycles(bad), [
    "detect/a.ts -> detect/b.ts -> detect/c.ts -> detect/a.ts",
  ]);
  assertEquals(orphans(bad, ["main.ts"]), ["detect/lost.ts", "xen/a.ts"]);
});
