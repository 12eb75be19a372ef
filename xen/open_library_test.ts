import { assertEquals, assertThrows } from "@std/assert";
import { openLibrary } from "./open_library.ts";
import { stubLibrary } from "./testing/stub_library.ts";

const table = {
  answer: { parameters: [], result: "i32" },
  add: { name: "add_two", parameters: ["i32", "i32"], result: "i32" },
  nowhere: { parameters: [], result: "void", optional: true },
  number: { type: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

async function withLibrary(source: string, use: (path: string) => void) {
  const folder = await Deno.makeTempDir();
  try {
    use(await stubLibrary(`${folder}/libstub.so`, source));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("functions and variables are those of the library", () =>
  withLibrary(
    `int number = 7;
     int answer(void);
     int answer(void) { return number; }
     int add_two(int, int);
     int add_two(int a, int b) { return a + b; }
    `,
    (path) => {
      const { symbols, close } = openLibrary(path, table);
      assertEquals(symbols.answer(), 7);
      assertEquals(symbols.add(2, 3), 5);
      assertEquals(symbols.number, 7);
      assertEquals(symbols.nowhere, null);
      // Prepared once
      assertEquals(symbols.answer === symbols.answer, true);
      close();
    },
  ));

Deno.test("a function that is not there is missed at once", () =>
  withLibrary("int number = 7;\n", (path) => {
    assertThrows(
      () => openLibrary(path, table),
      Error,
      "Failed to register symbol",
    );
  }));
