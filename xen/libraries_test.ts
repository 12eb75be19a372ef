import { assert, assertEquals, assertThrows } from "@std/assert";
import { LibraryError } from "./errors.ts";
import { missing, openEach, openFirst, sonames } from "./libraries.ts";
import { stubLibrary } from "./testing/stub_library.ts";

const answer = {
  answer: { parameters: [], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** A library whose function `answer` returns a number. */
function library(folder: string, name: string, value: number) {
  return stubLibrary(
    `${folder}/${name}`,
    `int answer(void);\nint answer(void) { return ${value}; }\n`,
  );
}

async function withFolder(use: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a missing library is one error that names it and what was tried", () => {
  const error = assertThrows(
    () => openFirst(["libnowhere.so.2", "libnowhere.so.1"], answer),
    LibraryError,
  );
  assertEquals(error.message.includes("\n"), false);
  assert(
    error.message.startsWith(
      "libnowhere was not found (tried libnowhere.so.2, libnowhere.so.1)",
    ),
    error.message,
  );
});

Deno.test("a missing symbol is one error that names library and symbol", () =>
  withFolder(async (folder) => {
    const old = await library(folder, "libold.so", 1);
    const newer = await library(folder, "libnewer.so", 2);
    const wanted = {
      ...answer,
      question: { parameters: [], result: "void" },
    } as const;
    const error = assertThrows(
      () => openFirst([old, newer], wanted),
      LibraryError,
    );
    assertEquals(error.message.includes("\n"), false);
    assert(error.message.startsWith(`${old} lacks a function`), error.message);
    assert(error.message.includes("question"), error.message);
  }));

Deno.test("a library that lacks a symbol does not hide a later one that has it", () =>
  withFolder(async (folder) => {
    const unfit = await library(folder, "libunfit.so", 1);
    const fit = await stubLibrary(
      `${folder}/libfit.so`,
      "int answer(void) { return 2; }\nvoid question(void) {}\n",
    );
    const wanted = {
      ...answer,
      question: { parameters: [], result: "void" },
    } as const;
    const first = openFirst([unfit, fit], wanted);
    assertEquals(first.symbols.answer(), 2);
    first.close();
    // In the other order the unfit one is no error either, but it is told
    const errors: LibraryError[] = [];
    const all = [...openEach([fit, unfit], wanted, errors)];
    for (const { library } of all) library.close();
    assertEquals(all.map(({ name }) => name), [fit]);
    assertEquals(errors.length, 1);
    assert(errors[0]!.message.startsWith(`${unfit} lacks a function`));
  }));

Deno.test("a symbol that may be missing is no error", () =>
  withFolder(async (folder) => {
    const path = await library(folder, "libold.so", 1);
    const opened = openFirst([path], {
      ...answer,
      question: { parameters: [], result: "void", optional: true },
    });
    assertEquals(opened.symbols.question, null);
    opened.close();
  }));

Deno.test("the first name that is there wins, and the others follow", () =>
  withFolder(async (folder) => {
    const paths = [
      `${folder}/libnone.so`,
      await library(folder, "libone.so", 1),
      await library(folder, "libtwo.so", 2),
    ];
    const first = openFirst(paths, answer);
    assertEquals(first.symbols.answer(), 1);
    first.close();
    const all = [...openEach(paths, answer)];
    assertEquals(
      all.map(({ name, library }) => [name, library.symbols.answer()]),
      [[paths[1], 1], [paths[2], 2]],
    );
    for (const { library } of all) library.close();
  }));

Deno.test("a file that is no library is not taken for one", () =>
  withFolder(async (folder) => {
    const path = `${folder}/libbroken.so`;
    await Deno.writeTextFile(path, "no library");
    assertThrows(() => openFirst([path], answer), LibraryError, "libbroken");
  }));

Deno.test("newer releases are tried first", () => {
  const minors = sonames.xenctrl.filter((name) => !name.startsWith("/"))
    .map((name) => Number(name.split(".").at(-1)));
  assertEquals(minors, minors.toSorted((a, b) => b - a));
  assertEquals([minors[0], minors.at(-1)], [22, 14]);
  assertEquals([...sonames.xenstore], [
    "libxenstore.so.4",
    "libxenstore.so.3.0",
  ]);
});

Deno.test("paths of a release are not told to the operator, sonames are", () => {
  const { message } = missing(sonames.xenctrl);
  assert(message.startsWith("libxenctrl was not found"), message);
  assert(message.includes("libxenctrl.so.4.17,"), message);
  assert(!message.includes("/usr/lib"), message);
});
