import type { LoadedCode } from "../guestos/profile.ts";
import type { SymbolTable } from "../guestos/symbol_table.ts";
import { compareRegion } from "./differences.ts";
import type { Detector, Finding, Remedy, Told, Unreadable } from "./finding.ts";
import type { Guest } from "./guest.ts";
import { isInRegion } from "./is_in_region.ts";
import { LivingText } from "./living_text.ts";
import { restoreRegion } from "./restore_region.ts";
import { rules } from "./rules.ts";
import { tellUnreadable } from "./tell_unreadable.ts";
import { type TrustedRegion, trustRegion } from "./trusted_region.ts";

/** Looks in a row after which it is told that code cannot be read */
const LOOKS = 3;

/** One piece of loaded code under watch. */
interface Watched {
  readonly region: TrustedRegion;
  readonly living: LivingText;
  /** Why more than its first reading is not known */
  readonly doubt?: string;
}

/** What one look at a piece of loaded code gave. */
interface Judged {
  readonly code: LoadedCode;
  /** Left out where it could not be read to begin with */
  readonly watched: Watched | undefined;
  readonly told: readonly Told[];
  /** Why it could not be read */
  readonly failure?: Unreadable;
  /** Whether there is something that a clean module does not show */
  readonly isStrange: boolean;
}

function keyOf({ name, start, size }: LoadedCode): string {
  return `${name} ${start} ${size}`;
}

/**
 * XK-014: code that was loaded into the kernel is that of its file, where that
 * is known, and stays what it was when it was first seen, as long as it is
 * loaded.
 */
export class ModuleText implements Detector {
  readonly rule = rules.moduleText;
  #guest: Guest;
  #symbols: SymbolTable;
  #loaded: () => readonly LoadedCode[];
  /** By name and place */
  #watched = new Map<string, Watched>();
  /** By name, at how many looks in a row it could not be read */
  #unreadable = new Map<string, number>();

  /** @param loaded What is loaded now, each time anew */
  constructor(
    guest: Guest,
    symbols: SymbolTable,
    loaded: () => readonly LoadedCode[],
  ) {
    this.#guest = guest;
    this.#symbols = symbols;
    this.#loaded = loaded;
  }

  *check(): Generator<Told> {
    const judged = this.#loaded().map((code) => this.#judge(code));
    // What was read of one that came or went meanwhile tells nothing
    const still = judged.some(({ isStrange }) => isStrange)
      ? new Set(this.#loaded().map(keyOf))
      : undefined;
    this.#watched = new Map();
    const unreadable = new Map<string, number>();
    for (const { code, watched, told, failure } of judged) {
      if (still?.has(keyOf(code)) === false) continue;
      if (watched !== undefined) this.#watched.set(keyOf(code), watched);
      yield* told;
      if (failure === undefined) continue;
      const looks = (this.#unreadable.get(code.name) ?? 0) + 1;
      unreadable.set(code.name, looks);
      // A module that goes is unmapped before it is off the list
      if (looks >= LOOKS) yield failure;
    }
    this.#unreadable = unreadable;
  }

  remedy(finding: Finding): Remedy | undefined {
    const watched = this.#watched.values().find(({ region }) =>
      isInRegion(finding, region)
    );
    if (watched === undefined) return undefined;
    return restoreRegion(this.#guest, watched.region, watched.living);
  }

  #judge(code: LoadedCode): Judged {
    const { name, start } = code;
    const told: Told[] = [];
    let watched = this.#watched.get(keyOf(code));
    try {
      watched ??= this.#watch(code);
      const { region, living, doubt } = watched;
      if (doubt !== undefined) {
        told.push({
          rule: this.rule,
          what: name,
          address: start,
          reason: doubt,
        });
      }
      const differences = [...compareRegion(
        this.#guest,
        this.#symbols,
        region,
        this.rule,
        `code of ${name} was changed`,
        living,
      )];
      told.push(...differences, ...living.instrumentation());
      const isStrange = differences.length > 0 || living.changing > 0;
      return { code, watched, told, isStrange };
    } catch (error) {
      const failure = tellUnreadable(this.rule, this.#symbols, error);
      return { code, watched, told, failure, isStrange: true };
    }
  }

  #watch(code: LoadedCode): Watched {
    const { name, start, size, living, trust } = code;
    const trusted = trust?.(this.#guest.read(start, size));
    const region = trustRegion(this.#guest, {
      name,
      kind: "code",
      start,
      size,
      ...(living === undefined ? {} : { living }),
      ...(trusted === undefined ? {} : { trusted: trusted.bytes }),
    });
    return {
      region,
      living: new LivingText(this.#guest, this.#symbols, region),
      ...(trusted?.doubt === undefined ? {} : { doubt: trusted.doubt }),
    };
  }
}
