import type { TextSite } from "../sites.ts";
import type { Patching } from "./patching.ts";

/**
 * Writes what the places that change while the kernel runs have now: the form
 * that is there, if it is one that the guest's data asks for.
 *
 * @param start Offset of the first byte of the code, where places count from
 *   elsewhere
 * @returns The places, ascending
 */
export function patchSites(
  { text, found, guest }: Pick<Patching, "text" | "found" | "guest">,
  sites: readonly TextSite[],
  start = 0,
): TextSite[] {
  for (const { at, size, forms } of sites) {
    const place = at - start;
    const all = forms(guest);
    const fits = all.find((form) =>
      form.every((byte, index) => byte === found[place + index])
    );
    text.set((fits ?? all[0]!).subarray(0, size), place);
  }
  return sites.toSorted((a, b) => a.at - b.at);
}
