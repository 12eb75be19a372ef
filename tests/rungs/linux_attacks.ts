import type { LinuxGuestType } from "../lab/mod.ts";
import { ATTACKS } from "../linux/attacks/catalog.ts";
import type { Way } from "./orders_of_change.ts";

/** An attack of the catalog, made from inside the guest in one way. */
export interface LinuxRungAttack {
  /** In the matrix. */
  readonly name: string;
  /** In the catalog. */
  readonly attack: string;
  readonly way: Way;
}

/** Other ways than by an alias, each for data and for code. */
const OTHER_WAYS: readonly (readonly [Way, LinuxGuestType | undefined])[] = [
  ["unprotected", "pvh"],
  ["remapped", undefined],
  ["hypercall", "pv"],
];
const IN_ALL_WAYS = ["syscall-table-slot", "text-byte"] as const;

/**
 * All attacks of the catalog that a guest of this type can make on itself. What
 * only a search of all the kernel's memory finds is left out: it takes a minute.
 */
export function linuxRungAttacks(type: LinuxGuestType): LinuxRungAttack[] {
  const possible = ATTACKS.filter(({ rules, isFar }) =>
    typeof rules[type] !== "string" && !isFar
  );
  const ways = OTHER_WAYS.filter(([, only]) => (only ?? type) === type)
    .map(([way]) => way);
  const [ofData, ofCode] = IN_ALL_WAYS.map((attack) =>
    ways.map((way) => ({ name: `${attack}, ${way}`, attack, way }))
  );
  return [
    ...possible.map(({ name }) =>
      ({ name, attack: name, way: "alias" }) as const
    ),
    // What is tried again within seconds is told once: first and last differ
    ...ofData!,
    ...ofCode!.toReversed(),
  ];
}
