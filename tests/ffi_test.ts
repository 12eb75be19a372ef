import { assert, assertEquals, assertRejects } from "@std/assert";
import * as ffi from "../xen/ffi.ts";
import { openEach, openLibraries, sonames } from "../xen/libraries.ts";
import { compile } from "./probe/compile.ts";
import {
  ffiCheck,
  ffiDeclarations,
  type FfiFunction,
} from "./probe/ffi_declarations.ts";

const source = await Deno.readTextFile(
  new URL("../xen/ffi.ts", import.meta.url),
);
const declared = ffiDeclarations(source);

function check(functions: readonly FfiFunction[]): Promise<void> {
  return compile(["-fsyntax-only", "-xc", "-"], ffiCheck(functions));
}

/** The declarations with one of them replaced. */
function changed(
  name: string,
  change: (declaration: FfiFunction) => FfiFunction,
): FfiFunction[] {
  assert(declared.some((declaration) => declaration.name === name));
  return declared.map((declaration) =>
    declaration.name === name ? change(declaration) : declaration
  );
}

Deno.test("every function of the FFI tables has its C declaration beside it", () => {
  const tables = Object.values(ffi).flatMap((table) =>
    Object.entries(table as Deno.ForeignLibraryInterface).flatMap((
      [name, symbol],
    ) =>
      "parameters" in symbol
        ? [[name, symbol.parameters.map(String), String(symbol.result)]]
        : []
    )
  );
  assertEquals(
    declared.map((
      { name, parameters, result },
    ) => [name, parameters.map(({ ffi }) => ffi), result.ffi]).sort(),
    // A function that two tables have is declared in one of them
    [...new Map(tables.map((table) => [table[0], table])).values()].sort(),
  );
  assertEquals(declared.filter(({ result }) => result.c === ""), []);
});

Deno.test("the FFI tables are as the installed headers declare", async () => {
  await check(declared);
});

Deno.test("a wrong FFI table does not compile", async () => {
  const wrong: [string, string, FfiFunction[]][] = [
    [
      "a parameter less",
      "conflicting types",
      changed("xc_domain_pause", (declaration) => ({
        ...declaration,
        parameters: declaration.parameters.slice(0, 1),
      })),
    ],
    [
      "two parameters swapped",
      "conflicting types",
      changed("xenforeignmemory_map", (declaration) => ({
        ...declaration,
        parameters: declaration.parameters.with(1, declaration.parameters[3]!)
          .with(3, declaration.parameters[1]!),
      })),
    ],
    [
      "a number of the wrong width",
      "xencall2: arg1 is no u32",
      changed("xencall2", (declaration) => ({
        ...declaration,
        parameters: declaration.parameters.with(2, {
          ...declaration.parameters[2]!,
          ffi: "u32",
        }),
      })),
    ],
    [
      "a number for a pointer",
      "xs_read: path is no u64",
      changed("xs_read", (declaration) => ({
        ...declaration,
        parameters: declaration.parameters.with(2, {
          ...declaration.parameters[2]!,
          ffi: "u64",
        }),
      })),
    ],
    [
      "another result",
      "xc_translate_foreign_address: *result is no u32",
      changed("xc_translate_foreign_address", (declaration) => ({
        ...declaration,
        result: { ...declaration.result, ffi: "u32" },
      })),
    ],
    [
      "a function that no header has",
      "'xc_nothing' undeclared",
      [...declared, { ...declared[0]!, name: "xc_nothing" }],
    ],
  ];
  for (const [what, message, functions] of wrong) {
    const error = await assertRejects(() => check(functions));
    assert(
      new RegExp(message.replaceAll("*", "\\*")).test(error.message),
      `${what}: ${error.message}`,
    );
  }
});

Deno.test("the installed libraries have every symbol", () => {
  const libraries = openLibraries();
  for (const library of Object.values(libraries)) {
    // All but the logger, which is a pointer
    if ("close" in library) library.close();
  }
  const found = [...openEach(sonames.xenctrl, ffi.xenctrl)];
  for (const { library } of found) library.close();
  assert(found.length > 0, "libxenctrl was not found");
});
