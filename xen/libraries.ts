import { constants } from "./constants.ts";
import * as ffi from "./ffi.ts";
import { LibraryError } from "./errors.ts";
import { openLibrary } from "./open_library.ts";

/** Releases whose libxenctrl is tried, newest first; its soname names them. */
const RELEASES = [22, 21, 20, 19, 18, 17, 16, 15, 14];

/**
 * Where the loader may not look: Debian and others keep a release's private
 * libraries in a folder of their own.
 */
const FOLDERS = ["", "/usr/lib/x86_64-linux-gnu/", "/usr/local/lib/"];

/** Sonames to try for each library, in order. */
export const sonames = {
  xenctrl: RELEASES.flatMap((minor) => [
    `libxenctrl.so.4.${minor}`,
    `/usr/lib/xen-4.${minor}/lib/libxenctrl.so.4.${minor}`,
  ]),
  xenforeignmemory: ["libxenforeignmemory.so.1"],
  xenevtchn: ["libxenevtchn.so.1"],
  xengnttab: ["libxengnttab.so.1"],
  xencall: ["libxencall.so.1"],
  xendevicemodel: ["libxendevicemodel.so.1"],
  // 3.0 up to Xen 4.15, 4 from 4.16 on
  xenstore: ["libxenstore.so.4", "libxenstore.so.3.0"],
  xentoollog: ["libxentoollog.so.1"],
  libc: ["libc.so.6"],
} as const satisfies Record<string, readonly string[]>;

/**
 * Opens every library of the list that is there and has all symbols.
 *
 * One that lacks a symbol is passed over, since a later one may fit; only if
 * none does is it an error, which names the first that was there.
 *
 * @param names Sonames or paths, tried in order
 * @param symbols What the library must have
 * @param unfit Takes an error for each library that lacks a symbol
 * @yields An opened library with the name under which it was found
 * @throws {LibraryError} If all that are there lack a symbol
 */
export function* openEach<const S extends Deno.ForeignLibraryInterface>(
  names: readonly string[],
  symbols: S,
  unfit: LibraryError[] = [],
): Generator<{ name: string; library: Deno.DynamicLibrary<S> }> {
  let found = false;
  for (const name of names) {
    const folders = name.startsWith("/") ? [""] : FOLDERS;
    for (const folder of folders) {
      let library: Deno.DynamicLibrary<S>;
      try {
        library = openLibrary(folder + name, symbols);
      } catch (error) {
        if (error instanceof Deno.errors.NotCapable) throw error;
        const message = error instanceof Error ? error.message : String(error);
        if (message.startsWith("Failed to register symbol")) {
          unfit.push(
            new LibraryError(
              `${folder + name} lacks a function that xkmon needs: ${message}`,
              { cause: error },
            ),
          );
        }
        continue;
      }
      found = true;
      yield { name: folder + name, library };
      break;
    }
  }
  if (!found && unfit[0] !== undefined) throw unfit[0];
}

/**
 * Opens the first library of the list that is there and has all symbols.
 *
 * @param names Sonames or paths, tried in order
 * @param symbols What the library must have
 * @throws {LibraryError} If none is there, or all that are lack a symbol
 *
 * @example
 * ```ts
 * import { libc } from "./ffi.ts";
 * const library = openFirst(sonames.libc, libc);
 * library.close();
 * ```
 */
export function openFirst<const S extends Deno.ForeignLibraryInterface>(
  names: readonly string[],
  symbols: S,
): Deno.DynamicLibrary<S> {
  for (const { library } of openEach(names, symbols)) return library;
  throw missing(names);
}

/** The error that names a library which is nowhere to be found. */
export function missing(names: readonly string[]): LibraryError {
  const first = names[0] ?? "";
  const stem = first.slice(0, first.indexOf(".so"));
  return new LibraryError(
    `${stem} was not found (tried ${
      names.filter((name) => !name.startsWith("/")).join(", ")
    }): xkmon runs in a Xen Dom0 with Xen's own libraries installed`,
  );
}

/** The libraries that are the same in every release, opened once. */
export interface Libraries {
  readonly foreignmemory: Deno.DynamicLibrary<typeof ffi.xenforeignmemory>;
  readonly evtchn: Deno.DynamicLibrary<typeof ffi.xenevtchn>;
  readonly gnttab: Deno.DynamicLibrary<typeof ffi.xengnttab>;
  readonly call: Deno.DynamicLibrary<typeof ffi.xencall>;
  readonly devicemodel: Deno.DynamicLibrary<typeof ffi.xendevicemodel>;
  readonly store: Deno.DynamicLibrary<typeof ffi.xenstore>;
  readonly toollog: Deno.DynamicLibrary<typeof ffi.xentoollog>;
  readonly libc: Deno.DynamicLibrary<typeof ffi.libc>;
  /** `xentoollog_logger *` that keeps their messages out of xkmon's output */
  readonly logger: Deno.PointerValue;
}

/**
 * Opens the stable libraries. They stay open for the life of the process.
 *
 * @throws {LibraryError} If one is missing or unfit; the message names it
 */
export function openLibraries(): Libraries {
  const libc = openFirst(sonames.libc, ffi.libc);
  const toollog = openFirst(sonames.xentoollog, ffi.xentoollog);
  return {
    libc,
    toollog,
    logger: toollog.symbols.xtl_createlogger_stdiostream(
      libc.symbols.stderr,
      constants.XTL_CRITICAL,
      0,
    ),
    call: openFirst(sonames.xencall, ffi.xencall),
    devicemodel: openFirst(sonames.xendevicemodel, ffi.xendevicemodel),
    foreignmemory: openFirst(sonames.xenforeignmemory, ffi.xenforeignmemory),
    evtchn: openFirst(sonames.xenevtchn, ffi.xenevtchn),
    gnttab: openFirst(sonames.xengnttab, ffi.xengnttab),
    store: openFirst(sonames.xenstore, ffi.xenstore),
  };
}
