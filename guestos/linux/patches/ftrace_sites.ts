import { nop } from "../../x86/nops.ts";
import type { TextSite } from "../sites.ts";
import { BRANCH_SIZE } from "../x86_branch.ts";
import { inText, type Patching } from "./patching.ts";

/** The calls at the start of functions, which the kernel takes out. */
export function* ftraceSites(patching: Patching): Generator<TextSite> {
  const { image } = patching;
  const table = image.table("mcount_loc");
  const end = table === undefined ? 0 : table.offset + table.size;
  const form = nop(BRANCH_SIZE);
  for (let entry = table?.offset ?? 0; entry + 8 <= end; entry += 8) {
    // Entries of functions that were left out are 0
    const at = Number(image.view.getBigUint64(entry, true) - image.base);
    if (!inText(patching, at, BRANCH_SIZE)) continue;
    yield { kind: "ftrace", at, size: BRANCH_SIZE, forms: () => [form] };
  }
}
