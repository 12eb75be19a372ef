import { assert, assertEquals } from "@std/assert";
import { entryBits } from "../../xen/page_walk.ts";
import type { Check, Context } from "./context.ts";
import { protectAll } from "./protect_all.ts";
import { directMap, image, PAGE } from "./ranges.ts";

const ACCESSED_DIRTY = entryBits.accessed | entryBits.dirty;

/** Every last-level entry of the kernel's image and of its direct map. */
function leafEntries(context: Context): Map<bigint, bigint> {
  const entries = new Map<bigint, bigint>();
  for (const { start, end } of [image(context), directMap(context)]) {
    for (let address = start; address < end; address += PAGE) {
      const step = context.guest.walk(address).steps.at(-1);
      if (step?.level === 1) entries.set(address, step.entry);
    }
  }
  return entries;
}

/** The addresses of every mapping of the guarded regions' frames. */
function guardedAddresses({ guest, profile }: Context): Set<bigint> {
  const frames = profile.regions.flatMap(({ start, size }) =>
    guest.walks(start, size).flatMap((walk) =>
      walk.kind === "mapped" ? [walk.frame] : []
    )
  );
  const { aliases } = guest.aliases(new Set(frames));
  return new Set(aliases.map(({ address }) => address));
}

/**
 * Protects the guarded regions, waits while somebody outside tries to write,
 * and undoes it.
 */
export const protectAndUndo: Check = [
  "protection changes the writable bit of every mapping, and is undone",
  async (context) => {
    const { guest, profile } = context;
    const before = leafEntries(context);
    const guarded = guardedAddresses(context);
    const pages = profile.regions.reduce((sum, { size }) => sum + size, 0) /
      Number(PAGE);
    assertEquals(guarded.size, 2 * pages);

    assertEquals(protectAll(context), guarded.size);
    const during = leafEntries(context);
    assertEquals(during.size, before.size);
    for (const [address, entry] of during) {
      const then = before.get(address)!;
      const expected = guarded.has(address) ? then & ~entryBits.writable : then;
      const where = `0x${address.toString(16)}`;
      assertEquals(entry & ~ACCESSED_DIRTY, expected & ~ACCESSED_DIRTY, where);
      // The processor may have set more of them, but none may be lost
      assertEquals(then & ACCESSED_DIRTY & ~entry, 0n, where);
    }
    assert(
      [...guarded].some((address) =>
        (before.get(address)! & entryBits.accessed) !== 0n
      ),
      "no entry had anything to lose",
    );
    assertEquals(protectAll(context), 0);

    console.log("ready");
    await context.line();

    assertEquals(
      guest.unprotect(),
      `${guarded.size} page-table entries are writable again`,
    );
    for (const [address, entry] of leafEntries(context)) {
      assertEquals(
        entry & ~ACCESSED_DIRTY,
        before.get(address)! & ~ACCESSED_DIRTY,
        `0x${address.toString(16)}`,
      );
    }
    assertEquals(guest.unprotect(), undefined);
  },
];
