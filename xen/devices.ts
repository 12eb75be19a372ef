import type { XenStore } from "./store.ts";

/** A virtual device of a guest. */
export interface Device {
  /** `vif`, `vbd`, `console` and so on */
  readonly kind: string;
  readonly id: string;
  /** `XenbusState` in words (public/io/xenbus.h) */
  readonly state: string;
  /** Domain id of the backend */
  readonly backend: number;
}

const STATES = [
  "unknown",
  "initialising",
  "waiting for the backend",
  "initialised",
  "connected",
  "closing",
  "closed",
  "reconfiguring",
  "reconfigured",
];

/**
 * The devices that the toolstack gave a guest, as its own record in the store
 * tells (`/libxl/ID/device`, which the guest cannot write); without one, as
 * the guest's part tells.
 */
export function listDevices(store: XenStore, domain: number): Device[] {
  const roots = [`/libxl/${domain}/device`, `/local/domain/${domain}/device`];
  const root = roots.find((path) => store.directory(path).length > 0);
  if (root === undefined) return [];
  return store.directory(root).flatMap((kind) =>
    store.directory(`${root}/${kind}`).map((id) => {
      const path = `${root}/${kind}/${id}`;
      const frontend = store.read(`${path}/frontend`) ?? path;
      const state = store.read(`${frontend}/state`) ?? "";
      const backend = store.read(`${path}/backend-id`) ?? "";
      return {
        kind,
        id,
        state: /^\d$/.test(state)
          ? STATES[Number(state)] ?? "unknown"
          : "unknown",
        backend: /^\d{1,5}$/.test(backend) ? Number(backend) : 0,
      };
    })
  );
}
