import type { XenStore } from "../store.ts";

/**
 * A store of fixed nodes, for what only reads.
 *
 * @param nodes Path to value; folders on the way exist as in xenstore
 */
export function fakeStore(nodes: Readonly<Record<string, string>>): XenStore {
  const reader: Pick<XenStore, "read" | "directory"> = {
    read: (path) => nodes[path],
    directory: (path) => [
      ...new Set(
        Object.keys(nodes).filter((node) => node.startsWith(`${path}/`))
          .map((node) => node.slice(path.length + 1).split("/")[0]!),
      ),
    ],
  };
  return reader as XenStore;
}
