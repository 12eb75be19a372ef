import { fileDigests } from "./file_digests.ts";
import { node } from "./node.ts";
import { readBoundedFile } from "./read_bounded_file.ts";

/** Where the digests of kernel files are kept if nothing else is asked for. */
export const DEFAULT_DIGEST_STORE = "/var/lib/xkmon/kernels.json";

/** What is kept of one kernel file. */
export interface DigestEntry {
  /** Absolute path, without symbolic links */
  readonly path: string;
  /** Bytes */
  readonly size: number;
  /** Lower-case hexadecimal; for comparison with older records only */
  readonly md5: string;
  /** Lower-case hexadecimal; what is trusted */
  readonly sha256: string;
  /** When it was enrolled, ISO 8601 */
  readonly enrolled: string;
}

/** What the store knows of a kernel file. */
export interface DigestCheck {
  /**
   * - `enrolled`: its content is one that was enrolled
   * - `changed`: its path was enrolled with another content
   * - `unknown`: neither its path nor its content was enrolled
   */
  readonly state: "enrolled" | "changed" | "unknown";
  /** What the judgement rests on; its path may be another one */
  readonly entry?: DigestEntry;
}

const VERSION = 1;
const MAX_STORE_SIZE = 64 * 1024 * 1024;
const LOCK_LIMIT_MS = 5000;
const LOCK_INTERVAL_MS = 50;

/** The kept digests of kernel files, in one JSON file. */
export class DigestStore {
  readonly #path: string;
  #entries: Map<string, DigestEntry>;

  private constructor(path: string, entries: Map<string, DigestEntry>) {
    this.#path = path;
    this.#entries = entries;
  }

  /**
   * Opens a store. One that does not exist yet is empty.
   *
   * @param path The JSON file
   * @throws {SyntaxError} If the file is damaged or of a later version
   */
  static async open(path: string = DEFAULT_DIGEST_STORE): Promise<DigestStore> {
    return new DigestStore(path, await load(path));
  }

  /** What was enrolled, by path. */
  get entries(): DigestEntry[] {
    return [...this.#entries.values()]
      .sort((a, b) => a.path < b.path ? -1 : 1);
  }

  /**
   * Keeps the digests of a kernel file, in place of earlier ones of its path.
   * The store is on the disk when this returns, or is what it was before.
   *
   * @param path The kernel file; symbolic links are followed
   * @throws {Deno.errors.NotFound} If there is no such file
   * @throws {Deno.errors.IsADirectory} If it is a directory
   * @throws {TypeError} If it is another thing that is no regular file
   * @throws {RangeError} If it is empty or has more than 512 MiB
   * @throws {SyntaxError} If the store has been damaged meanwhile
   * @throws {Deno.errors.TimedOut} If another process holds the store's lock
   */
  async enroll(path: string): Promise<DigestEntry> {
    const bytes = await readBoundedFile(path);
    if (bytes.length === 0) throw new RangeError(`${path} is empty`);
    const entry: DigestEntry = {
      path: await Deno.realPath(path),
      size: bytes.length,
      ...fileDigests(bytes),
      enrolled: new Date().toISOString(),
    };
    await Deno.mkdir(node.path.dirname(this.#path), {
      recursive: true,
      mode: 0o700,
    });
    using _lock = await lock(`${this.#path}.lock`);
    // Another process may have enrolled since the store was opened
    const entries = await load(this.#path);
    entries.set(entry.path, entry);
    await save(this.#path, entries);
    this.#entries = entries;
    return entry;
  }

  /**
   * Whether a kernel file is one that was enrolled.
   *
   * @param kernel Its absolute path without symbolic links, and its SHA-256 in
   *   lower-case hexadecimal
   */
  check(kernel: { path: string; sha256: string }): DigestCheck {
    const entry = this.#entries.get(kernel.path);
    if (entry !== undefined) {
      const same = entry.sha256 === kernel.sha256;
      return { state: same ? "enrolled" : "changed", entry };
    }
    const twin = this.entries.find(({ sha256 }) => sha256 === kernel.sha256);
    if (twin !== undefined) return { state: "enrolled", entry: twin };
    return { state: "unknown" };
  }
}

async function load(path: string): Promise<Map<string, DigestEntry>> {
  let bytes;
  try {
    bytes = await readBoundedFile(path, MAX_STORE_SIZE);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
  const damaged = (reason: string) =>
    new SyntaxError(
      `The store of kernel digests ${path} is damaged: ${reason}; restore it ` +
        "from a backup, or remove it and enroll the kernel files again",
    );
  let content;
  try {
    content = JSON.parse(
      new TextDecoder("utf-8", { fatal: true }).decode(bytes),
    );
  } catch {
    throw damaged("it is no JSON");
  }
  if (typeof content?.version === "number" && content.version !== VERSION) {
    throw new SyntaxError(
      `The store of kernel digests ${path} has version ${content.version}, ` +
        `and only version ${VERSION} is understood; use the xkmon that wrote it`,
    );
  }
  if (content?.version !== VERSION || !Array.isArray(content.kernels)) {
    throw damaged("it has no version or no list of kernels");
  }
  const entries = new Map<string, DigestEntry>();
  for (const [i, value] of content.kernels.entries()) {
    if (!isEntry(value)) throw damaged(`entry ${i + 1} is malformed`);
    if (entries.has(value.path)) throw damaged(`${value.path} is in it twice`);
    entries.set(value.path, value);
  }
  return entries;
}

// deno-lint-ignore no-explicit-any
function isEntry(value: any): value is DigestEntry {
  return typeof value?.path === "string" && value.path.startsWith("/") &&
    Number.isSafeInteger(value.size) && value.size > 0 &&
    typeof value.md5 === "string" && /^[0-9a-f]{32}$/.test(value.md5) &&
    typeof value.sha256 === "string" && /^[0-9a-f]{64}$/.test(value.sha256) &&
    typeof value.enrolled === "string" &&
    !Number.isNaN(Date.parse(value.enrolled));
}

/** Writes a new file and puts it in place of the old one in one step. */
async function save(
  path: string,
  entries: ReadonlyMap<string, DigestEntry>,
): Promise<void> {
  const content = { version: VERSION, kernels: [...entries.values()] };
  const bytes = new TextEncoder().encode(
    JSON.stringify(content, null, 2) + "\n",
  );
  const temporary = `${path}.new`;
  try {
    await removeIfThere(temporary);
    using file = await Deno.open(temporary, {
      write: true,
      createNew: true,
      mode: 0o600,
    });
    for (let done = 0; done < bytes.length;) {
      done += await file.write(bytes.subarray(done));
    }
    await file.sync();
    await Deno.rename(temporary, path);
  } catch (error) {
    await removeIfThere(temporary);
    throw error;
  }
  // The new name must survive a power cut as well
  using directory = await Deno.open(node.path.dirname(path));
  await directory.sync();
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Takes a file's lock; closing the file gives it back. */
async function lock(path: string): Promise<Deno.FsFile> {
  const file = await Deno.open(path, {
    write: true,
    create: true,
    mode: 0o600,
  });
  const deadline = Date.now() + LOCK_LIMIT_MS;
  while (!await file.tryLock(true)) {
    if (Date.now() >= deadline) {
      file.close();
      throw new Deno.errors.TimedOut(
        `Another process has held ${path} for ${LOCK_LIMIT_MS / 1000} s`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, LOCK_INTERVAL_MS));
  }
  return file;
}
