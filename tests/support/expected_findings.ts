import type { ATTACKS } from "../simpleos/guest.ts";
import type { PrintedFinding } from "./printed_event.ts";

/** What must be said of an incident, as it is or as a pattern. */
export type ExpectedFinding =
  & { readonly rule: string }
  & {
    readonly [key in Exclude<keyof PrintedFinding, "rule">]?: string | RegExp;
  };

const data = { what: "sys_call_table" };
const code = { what: "kernel text" };

const dataCompared = {
  ...data,
  rule: "XK-002",
  seen: "compare",
  symbol: "shutdown_p",
  summary: "pointer was redirected from shutdown to empty",
};
const codeCompared = {
  ...code,
  rule: "XK-001",
  seen: "compare",
  symbol: "shutdown",
};
const drift = { rule: "XK-003", seen: "drift" };

/** What xkmon must find of each attack, no more and no less. */
export const expectedFindings: Readonly<
  Record<typeof ATTACKS[number], readonly ExpectedFinding[]>
> = {
  data_attack: [{
    ...data,
    rule: "XK-002",
    seen: "fault",
    symbol: "shutdown_p",
    method: "direct write",
    ipSymbol: /^data_attack\+/,
  }],
  code_attack: [{
    ...code,
    rule: "XK-001",
    seen: "fault",
    symbol: "shutdown",
    method: "direct write",
    ipSymbol: /^code_attack\+/,
  }],
  data_attack_remap: [
    { ...dataCompared, method: "remap" },
    { ...drift, ...data, drift: "writable" },
  ],
  code_attack_remap: [
    { ...codeCompared, method: "remap" },
    { ...drift, ...code, drift: "writable" },
  ],
  data_attack_hypercall: [{ ...dataCompared, method: "hypercall" }],
  code_attack_hypercall: [{ ...codeCompared, method: "hypercall" }],
  data_attack_alias: [
    { ...dataCompared, method: "alias" },
    { ...drift, ...data, drift: "alias" },
  ],
  code_attack_alias: [
    { ...codeCompared, method: "alias" },
    { ...drift, ...code, drift: "alias" },
  ],
  data_attack_swap: [
    { ...dataCompared, method: "swap" },
    { ...drift, ...data, drift: "swapped" },
  ],
  mute_attack: [
    { ...dataCompared, method: "remap" },
    { ...drift, ...data, drift: "writable" },
    {
      rule: "XK-004",
      seen: "drift",
      what: "handler of trap 14",
      symbol: "page_fault_entry",
      summary: "handler of trap 14 was replaced on vCPU 0: " +
        "page_fault_entry became mute_fault_entry",
    },
  ],
};
