import type { Domain } from "./domains.ts";
import type { XenStore } from "./store.ts";
import { kernelOfGuest } from "./xl.ts";

/**
 * The kernel file from which the toolstack started a guest. The node belongs
 * to Dom0; the guest cannot write it.
 *
 * @param domain Domain id
 * @returns undefined if none is recorded, or not yet
 */
export function recordedKernel(
  store: XenStore,
  domain: number,
): string | undefined {
  const vm = store.read(`/local/domain/${domain}/vm`);
  if (vm === undefined) return undefined;
  return store.read(`${vm}/image/kernel`) || undefined;
}

/** From one question to the toolstack to the next, ms */
const INTERVAL = 250;

/**
 * The kernel file of a guest, from wherever the toolstack keeps it: the store
 * has it of PV guests only.
 *
 * @param isBeingMade Whether the guest still is being made: the toolstack may know
 *   more of it soon
 * @returns `undefined` if nothing is known, as of a guest that loads its kernel
 *   from its own disk
 */
export async function findKernel(
  store: XenStore,
  domain: Domain,
  isBeingMade: () => boolean = () => false,
): Promise<string | undefined> {
  for (;;) {
    const mayTellMore = isBeingMade();
    const recorded = recordedKernel(store, domain.id);
    if (recorded !== undefined) return recorded;
    const known = await kernelOfGuest(domain.id);
    if (known !== undefined || !mayTellMore) return known?.kernel;
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}
