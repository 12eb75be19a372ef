/**
 * Opens a library like `Deno.dlopen`, but prepares a function when it is first
 * asked for: the runtime makes code for each, which for all of Xen's takes
 * longer than what one command does with some of them.
 *
 * @param path Soname or path
 * @param symbols What the library must have
 * @throws {Error} If it is not there or lacks a symbol, as `Deno.dlopen` does
 *
 * @example
 * ```ts
 * const libc = openLibrary("libc.so.6", {
 *   getpid: { parameters: [], result: "i32" },
 * });
 * console.log(libc.symbols.getpid() === Deno.pid); // true
 * libc.close();
 * ```
 */
export function openLibrary<const S extends Deno.ForeignLibraryInterface>(
  path: string,
  symbols: S,
): Deno.DynamicLibrary<S> {
  const places = Object.entries(symbols).map(([name, symbol]) =>
    "type" in symbol ? [name, symbol] : [name, place(symbol)]
  );
  const opened: { close(): void }[] = [
    Deno.dlopen(path, Object.fromEntries(places)),
  ];
  const prepared = {};
  for (const [name, symbol] of Object.entries(symbols)) {
    Object.defineProperty(prepared, name, {
      configurable: true,
      enumerable: true,
      get() {
        const library = Deno.dlopen(path, { [name]: symbol });
        opened.push(library);
        const value = library.symbols[name];
        Object.defineProperty(prepared, name, { value, enumerable: true });
        return value;
      },
    });
  }
  return {
    symbols: prepared as Deno.DynamicLibrary<S>["symbols"],
    close() {
      for (const library of opened.splice(0)) library.close();
    },
  };
}

/** Where a function lies: that it is there is known then, at no cost. */
function place({ name, optional }: Deno.ForeignFunction) {
  return {
    type: "u8",
    ...(name === undefined ? {} : { name }),
    ...(optional === undefined ? {} : { optional }),
  } as const;
}
