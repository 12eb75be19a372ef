import { quiet } from "./quiet.ts";
import type { Target } from "./target.ts";

const STRIDE = 8;
const FLAGS = 3;

/** Offset of the place that makes a quiet tracepoint's static call. */
export function loaderCall(target: Target): number {
  const { view } = target.image;
  const start = target.offset("__start_static_call_sites");
  const end = target.offset("__stop_static_call_sites");
  const wanted = target.offset(quiet.tracepointCall);
  for (let entry = start; entry + STRIDE <= end; entry += STRIDE) {
    const key = entry + 4 + view.getInt32(entry + 4, true);
    if (key - (key & FLAGS) === wanted) {
      return entry + view.getInt32(entry, true);
    }
  }
  throw new TypeError(`nothing calls ${quiet.tracepointCall}`);
}
