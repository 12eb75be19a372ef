import type { ATTACKS } from "../simpleos/guest.ts";
import { codeCompared, dataCompared } from "./compared_findings.ts";
import {
  addressOf,
  bytesOf,
  pageOf,
  pointerTo,
  type ToldByFile,
} from "./expected_values.ts";
import type { PrintedFinding } from "./printed_event.ts";

/**
 * What must be said of an incident: as it is, as a pattern, or as the kernel's
 * file tells it.
 */
export type ExpectedFinding =
  & { readonly rule: string }
  & {
    readonly [key in Exclude<keyof PrintedFinding, "rule">]?:
      | string
      | RegExp
      | ToldByFile;
  };

/** Bytes that a finding shows where a write was stopped. */
const SHOWN = () => 8;

const data = { what: "sys_call_table" };
const code = { what: "kernel text" };
const slot = { symbol: "shutdown_p", address: addressOf("shutdown_p") };
const shutdown = { symbol: "shutdown", address: addressOf("shutdown") };

const drift = { rule: "XK-003", seen: "drift" };
const dataDrift = { ...drift, ...data, address: pageOf("shutdown_p") };
const codeDrift = { ...drift, ...code, address: pageOf("shutdown") };
/** A page-table entry, before and after. */
const entries = { expected: /^[0-9a-f]{16}$/, found: /^[0-9a-f]{16}$/ };

/** What xkmon must find of each attack, no more and no less. */
export const expectedFindings: Readonly<
  Record<typeof ATTACKS[number], readonly ExpectedFinding[]>
> = {
  data_attack: [{
    ...data,
    rule: "XK-002",
    ...slot,
    seen: "fault",
    method: "direct write",
    expected: pointerTo("shutdown"),
    found: pointerTo("shutdown"),
    ipSymbol: /^data_attack\+/,
  }],
  code_attack: [{
    ...code,
    rule: "XK-001",
    ...shutdown,
    seen: "fault",
    method: "direct write",
    expected: bytesOf("shutdown", SHOWN),
    found: bytesOf("shutdown", SHOWN),
    ipSymbol: /^code_attack\+/,
  }],
  data_attack_remap: [
    { ...dataCompared, method: "remap" },
    { ...dataDrift, drift: "writable", ...entries },
  ],
  code_attack_remap: [
    { ...codeCompared, method: "remap" },
    { ...codeDrift, drift: "writable", ...entries },
  ],
  data_attack_hypercall: [{ ...dataCompared, method: "hypercall" }],
  code_attack_hypercall: [{ ...codeCompared, method: "hypercall" }],
  data_attack_alias: [
    { ...dataCompared, method: "alias" },
    { ...dataDrift, drift: "alias" },
  ],
  code_attack_alias: [
    { ...codeCompared, method: "alias" },
    { ...codeDrift, drift: "alias" },
  ],
  data_attack_swap: [
    { ...dataCompared, method: "swap" },
    { ...dataDrift, drift: "swapped", ...entries },
  ],
  mute_attack: [
    { ...dataCompared, method: "remap" },
    { ...dataDrift, drift: "writable", ...entries },
    {
      rule: "XK-004",
      seen: "drift",
      what: "handler of trap 14",
      symbol: "page_fault_entry",
      address: addressOf("page_fault_entry"),
      expected: pointerTo("page_fault_entry"),
      found: pointerTo("mute_fault_entry"),
      summary: "handler of trap 14 was replaced on vCPU 0: " +
        "page_fault_entry became mute_fault_entry",
    },
  ],
};
