import type { XenStore } from "./store.ts";

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
