import type { TextSite } from "../sites.ts";
import type { Patching } from "./patching.ts";

/**
 * Writes what the places that change while the kernel runs have now: the form
 * that is there, if it is one that the guest's data asks for.
 *
 * @returns The places, ascending
 */
export function patchSites(
  { text, found, guest }: Patching,
  sites: readonly TextSite[],
): TextSite[] {
  for (const { at, size, forms } of sites) {
    const all = forms(guest);
    const fits = all.find((form) =>
      form.every((byte, index) => byte === found[at + index])
    );
    text.set((fits ?? all[0]!).subarray(0, size), at);
  }
  return sites.toSorted((a, b) => a.at - b.at);
}
