/** One file of an initramfs, for {@linkcode writeCpio}. */
export interface CpioEntry {
  /** Path without a leading slash. */
  path: string;
  /** Type and permission bits as in `st_mode`. */
  mode: number;
  /** Contents of a file, target of a symbolic link. */
  data?: Uint8Array;
}

/** A directory. */
export function directory(path: string): CpioEntry {
  return { path, mode: 0o40755 };
}

/** A symbolic link. */
export function link(path: string, target: string): CpioEntry {
  return { path, mode: 0o120777, data: new TextEncoder().encode(target) };
}

/** A file. */
export function file(
  path: string,
  data: string | Uint8Array,
  mode = 0o644,
): CpioEntry {
  if (typeof data === "string") data = new TextEncoder().encode(data);
  return { path, mode: 0o100000 | mode, data };
}

/** An executable copy of a file of the host. */
export async function program(
  path: string,
  source: string | URL,
): Promise<CpioEntry> {
  return file(path, await Deno.readFile(source), 0o755);
}
