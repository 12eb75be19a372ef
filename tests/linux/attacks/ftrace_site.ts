import type { Target } from "./target.ts";

/** Bytes of `endbr64`, which a site may stand behind */
const MARK = 4;

/** Offset of the place in a function that ftrace may make a call of. */
export function ftraceSite(target: Target, name: string): number {
  const { image } = target;
  const start = target.offset(name);
  const table = image.table("mcount_loc");
  const end = table === undefined ? 0 : table.offset + table.size;
  for (let entry = table?.offset ?? 0; entry < end; entry += 8) {
    const at = Number(image.view.getBigUint64(entry, true) - image.base);
    if (at === start || at === start + MARK) return at;
  }
  throw new TypeError(`${name} has no ftrace site`);
}
