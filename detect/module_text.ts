import type { LoadedCode } from "../guestos/profile.ts";
import type { SymbolTable } from "../guestos/symbol_table.ts";
import { compareRegion } from "./differences.ts";
import type { Detector, Told } from "./finding.ts";
import type { Guest } from "./guest.ts";
import { LivingText } from "./living_text.ts";
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

  /** @param loaded What is loaded now */
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
    const now = new Map<string, Watched>();
    const unreadable = new Map<string, number>();
    for (const code of this.#loaded()) {
      const key = `${code.name} ${code.start} ${code.size}`;
      try {
        const watched = this.#watched.get(key) ?? this.#watch(code);
        now.set(key, watched);
        const { region, living, doubt } = watched;
        if (doubt !== undefined) {
          yield {
            rule: this.rule,
            what: code.name,
            address: code.start,
            reason: doubt,
          };
        }
        yield* compareRegion(
          this.#guest,
          this.#symbols,
          region,
          this.rule,
          `code of ${code.name} was changed`,
          living,
        );
        yield* living.instrumentation();
      } catch (error) {
        const told = tellUnreadable(this.rule, this.#symbols, error);
        const looks = (this.#unreadable.get(code.name) ?? 0) + 1;
        unreadable.set(code.name, looks);
        // A module that goes is unmapped before it is off the list
        if (looks >= LOOKS) yield told;
      }
    }
    this.#watched = now;
    this.#unreadable = unreadable;
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
