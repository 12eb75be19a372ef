import { assertEquals } from "@std/assert";
import type { Profile } from "../guestos/profile.ts";
import { contentDetectors, stateDetectors } from "./detectors.ts";
import { guardedKernel, TABLE, TEXT } from "./testing/guarded_kernel.ts";
import { trustedRegions } from "./testing/trusted_regions.ts";

/** The rules that are at work for a profile. */
function rulesOf(parts: Partial<Profile>): string[] {
  const { guest, profile } = guardedKernel();
  return stateDetectors(guest, guest, { ...profile, ...parts }, false).map((
    { rule },
  ) => rule.id).sort();
}

Deno.test("the rules on contents judge code, data and the kernel's own word", () => {
  const kernel = guardedKernel();
  const { guest, profile } = kernel;
  const detectors = contentDetectors(
    guest,
    {
      ...profile,
      contradictions: [{ address: TEXT, summary: "it lies" }],
    },
    trustedRegions(kernel),
  );
  guest.write(TEXT, [0xee]);
  guest.write(TABLE, [0xee]);
  assertEquals(
    detectors.flatMap((detector) => [...detector.check(false)]).map((
      { rule },
    ) => rule.id),
    ["XK-001", "XK-002", "XK-008"],
  );
});

Deno.test("a profile that tells nothing more has the rules on processors alone", () => {
  assertEquals(rulesOf({ singleAddressSpace: false }), ["XK-011", "XK-013"]);
});

Deno.test("each thing that a profile tells adds a rule", () => {
  const parts: [Partial<Profile>, string][] = [
    [{ entryPoints: { lstar: [], cstar: [], sysenterIp: [] } }, "XK-012"],
    [{ loadedCode: () => [] }, "XK-014"],
    [
      {
        codeMap: {
          all: { start: 0n, end: 0n },
          usual: { start: 0n, end: 0n },
          owners: () => [],
        },
      },
      "XK-009",
    ],
    [{ singleAddressSpace: true }, "XK-005"],
  ];
  for (const [part, rule] of parts) {
    assertEquals(
      rulesOf({ singleAddressSpace: false, ...part }),
      ["XK-011", "XK-013", rule].sort(),
    );
  }
});

Deno.test("a guest that stands still needs no second look", () => {
  for (const standsStill of [true, false]) {
    const { guest, profile } = guardedKernel();
    const range = { start: TEXT, end: TEXT + 0x1000n };
    const detectors = stateDetectors(
      guest,
      guest,
      {
        ...profile,
        codeMap: { all: range, usual: range, owners: () => [] },
      },
      standsStill,
    );
    assertEquals(
      detectors.flatMap((detector) => [...detector.check(false)]).length > 0,
      standsStill,
    );
  }
});
