import { HoldNote, isHeld } from "./hold_note.ts";
import { PAGE_SIZE } from "./layouts.ts";

/** Where monitors keep what they did to guests, until it is undone. */
export const JOURNAL_FOLDER = "/run/xkmon";

/** How long a guardian may take to undo what its monitor left behind, ms */
const PATIENCE = 2000;
/** From one attempt to take the lock to the next, ms */
const INTERVAL = 20;

/** Grows when the file's shape changes. */
const VERSION = 1;

/** A page-table entry that a monitor made read-only. */
export interface ProtectedEntry {
  /** Guest virtual address of the page */
  readonly address: bigint;
  /** Machine frame that it led to */
  readonly frame: bigint;
}

/** A page-table entry that a monitor made lead to a frame of Dom0's. */
export interface LockedEntry extends ProtectedEntry {
  /** Machine frame that it leads to */
  readonly lock: bigint;
  /** Whether the guest could write before */
  readonly writable: boolean;
}

/** What keeps a guest from writing, and must be undone. */
export interface ProtectionNote {
  readonly entries: readonly ProtectedEntry[];
  readonly locked?: readonly LockedEntry[];
  /** Whether the toolstack's requests are kept from it */
  readonly requests?: true;
  /** Id of the ioreq server of a write gate */
  readonly server?: number;
  /** Whether Xen is to tell events of it */
  readonly events?: true;
  /** Guest frames that a write trap closes */
  readonly trapped?: readonly bigint[];
  /** Guest frames that discard writes */
  readonly readOnly?: readonly bigint[];
  /** Guest frame that tells whether the log of its writes is ours */
  readonly dirty?: bigint;
}

/** What a monitor has done to a guest and must undo. */
export interface JournalState extends ProtectionNote {
  readonly uuid: string;
  /**
   * Paused for moments to change page tables, and whether it had been paused
   * before
   */
  readonly pause?: "working" | "working, paused before";
  /** Paused because of an attack */
  readonly attack?: boolean;
}

/** What an earlier monitor left behind. */
export interface LeftState extends JournalState {
  /** It died while it held the guest, or just before or after */
  readonly hold?: true;
}

/** Another monitor guards the domain. */
export class AlreadyGuardedError extends Error {
  override readonly name = "AlreadyGuardedError";
}

/**
 * The record of what one monitor did to one guest, in files that survive the
 * monitor: the next one finds them and cleans up. It is also the lock that
 * keeps a second monitor away; the kernel drops it when its owner dies in any
 * way.
 *
 * Holds have a file of their own: see `HoldNote`.
 */
export class Journal implements Disposable {
  #path: string;
  #holdNote: HoldNote | undefined;
  #holdPath: string;
  #lockFile: Deno.FsFile;
  #lockPath: string;
  #state: JournalState | undefined;

  /**
   * Takes the lock of a domain, if it is free at this moment.
   *
   * @param domain Domain id
   * @param folder Where to keep it
   * @throws {AlreadyGuardedError} If another monitor has it
   */
  constructor(domain: number, folder = JOURNAL_FOLDER) {
    Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#path = `${folder}/${domain}.json`;
    this.#lockPath = `${folder}/${domain}.lock`;
    this.#lockFile = takeLock(this.#lockPath);
    this.#lockFile.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
    this.#holdPath = `${folder}/${domain}.hold`;
  }

  /**
   * Takes the lock of a domain; waits a moment for whoever undoes what a killed
   * monitor did.
   *
   * @param domain Domain id
   * @param folder Where to keep it
   * @throws {AlreadyGuardedError} If another monitor has it
   */
  static async take(domain: number, folder = JOURNAL_FOLDER): Promise<Journal> {
    const end = performance.now() + PATIENCE;
    for (;;) {
      try {
        return new Journal(domain, folder);
      } catch (error) {
        const wait = error instanceof AlreadyGuardedError &&
          performance.now() < end;
        if (!wait) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, INTERVAL));
    }
  }

  /**
   * What an earlier monitor left behind, or undefined.
   *
   * @param uuid Of the domain now: a reused id means another domain
   * @throws {SyntaxError} If the file makes no sense
   */
  left(uuid: string): LeftState | undefined {
    const state = this.#leftState(uuid);
    return isHeld(this.#holdPath, uuid)
      ? { ...(state ?? { uuid, entries: [] }), hold: true }
      : state;
  }

  #leftState(uuid: string): JournalState | undefined {
    const text = readIfThere(this.#path);
    if (text === undefined) return undefined;
    const state = parse(text);
    if (state === undefined) {
      throw new SyntaxError(
        `${this.#path}, what an earlier monitor did to the guest, is damaged: ` +
          "reboot the guest and remove the file",
      );
    }
    return state.uuid === uuid ? state : undefined;
  }

  /** Writes what is being done, before it is done. */
  write(state: JournalState): void {
    const text = JSON.stringify(
      { version: VERSION, ...state },
      (_, value) =>
        typeof value === "bigint" ? `0x${value.toString(16)}` : value,
    );
    const temporary = `${this.#path}.new`;
    Deno.writeTextFileSync(temporary, text, { mode: 0o600 });
    Deno.renameSync(temporary, this.#path);
    this.#state = state;
  }

  /**
   * Notes that the guest is about to be held, until `endHold`. After the first
   * time it takes no time.
   *
   * @param uuid Of the domain
   */
  hold(uuid: string): void {
    this.#holdNote ??= new HoldNote(this.#holdPath, uuid);
    this.#holdNote.held = true;
  }

  /** The hold is undone, or noted otherwise. */
  endHold(): void {
    if (this.#holdNote === undefined) removeIfThere(this.#holdPath);
    else this.#holdNote.held = false;
  }

  /** The last state written. */
  get state(): JournalState | undefined {
    return this.#state;
  }

  /** All is undone: nothing is left for anybody to clean up. */
  clear(): void {
    this.#state = undefined;
    removeIfThere(this.#path);
    this.endHold();
  }

  /** Gives the lock back. What was written and not cleared stays. */
  [Symbol.dispose](): void {
    if (this.#holdNote?.held === false) removeIfThere(this.#holdPath);
    this.#holdNote?.[Symbol.dispose]();
    removeIfThere(this.#lockPath);
    this.#lockFile.close();
  }
}

/**
 * Frames of Dom0's that a guest maps because a monitor guards it, for who only
 * looks at the guest.
 *
 * @param domain Domain id
 * @param uuid Of the domain now
 * @param folder Where the monitor keeps its journal
 */
export function lockedFrames(
  domain: number,
  uuid: string,
  folder = JOURNAL_FOLDER,
): bigint[] {
  const text = readIfThere(`${folder}/${domain}.json`);
  const state = text === undefined ? undefined : parse(text);
  if (state?.uuid !== uuid) return [];
  return (state.locked ?? []).map(({ lock }) => lock);
}

function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Opens, locks and empties a lock file. */
function takeLock(path: string): Deno.FsFile {
  for (;;) {
    const file = Deno.openSync(path, {
      create: true,
      read: true,
      write: true,
      mode: 0o600,
    });
    if (!file.tryLockSync(true)) {
      const pid = new TextDecoder().decode(Deno.readFileSync(path)).trim();
      file.close();
      throw new AlreadyGuardedError(
        `Another xkmon (process ${pid}) guards this domain: stop it first`,
      );
    }
    // Its last owner may have removed it between our opening and our locking
    if (sameFile(path, file)) {
      file.truncateSync();
      return file;
    }
    file.close();
  }
}

function sameFile(path: string, file: Deno.FsFile): boolean {
  try {
    return Deno.statSync(path).ino === file.statSync().ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Ids of ioreq servers are of 16 bits. */
function isServer(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 &&
    value <= 0xffff;
}

function parseFrame(value: unknown): bigint[] {
  return typeof value === "string" && /^0x[0-9a-f]{1,13}$/.test(value)
    ? [BigInt(value)]
    : [];
}

function parseLocked(value: unknown): LockedEntry[] {
  if (typeof value !== "object" || value === null) return [];
  const parts = value as Record<string, unknown>;
  const [address] = parseAddress(parts.address);
  const [frame] = parseFrame(parts.frame);
  const [lock] = parseFrame(parts.lock);
  const { writable } = parts;
  const known = address !== undefined && frame !== undefined &&
    lock !== undefined && typeof writable === "boolean";
  return known ? [{ address, frame, lock, writable }] : [];
}

function parseAddress(value: unknown): bigint[] {
  return typeof value === "string" && /^0x[0-9a-f]{1,13}000$/.test(value)
    ? [BigInt(value)]
    : [];
}

function parse(text: string): JournalState | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const parts = json as Record<string, unknown>;
  const { version, uuid, entries, pause, attack } = parts;
  const { events, locked, requests, trapped, server, readOnly } = parts;
  const [dirty] = parseFrame(parts.dirty);
  if (version !== VERSION || typeof uuid !== "string") return undefined;
  if (!Array.isArray(entries)) return undefined;
  const known = ["working", "working, paused before"] as const;
  const reason = known.find((name) => name === pause);
  return {
    uuid,
    entries: entries.flatMap((entry) => {
      try {
        const { address, frame } = entry;
        return [{ address: BigInt(address), frame: BigInt(frame) }];
      } catch {
        return [];
      }
    }).filter(({ address }) => address % BigInt(PAGE_SIZE) === 0n),
    ...(Array.isArray(locked) ? { locked: locked.flatMap(parseLocked) } : {}),
    ...(requests === true ? { requests } : {}),
    ...(events === true ? { events } : {}),
    ...(Array.isArray(trapped) ? { trapped: trapped.flatMap(parseFrame) } : {}),
    ...(isServer(server) ? { server } : {}),
    ...(Array.isArray(readOnly)
      ? { readOnly: readOnly.flatMap(parseFrame) }
      : {}),
    ...(dirty === undefined ? {} : { dirty }),
    ...(reason === undefined ? {} : { pause: reason }),
    ...(attack === true ? { attack } : {}),
  };
}
