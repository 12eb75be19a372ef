import type { Finding } from "../finding.ts";
import { rules } from "../rules.ts";
import { TABLE } from "./guarded_kernel.ts";

/**
 * A finding for tests that only pass it on.
 *
 * @param parts What the test is about
 */
export function finding(parts: Partial<Finding> = {}): Finding {
  return {
    rule: rules.invariantData,
    seen: "compare",
    what: "sys_call_table",
    address: TABLE,
    symbol: "sys_call_table",
    summary: "invariant data was changed",
    key: "one state",
    ...parts,
  };
}
