import type { ExpectedFinding } from "./expected_findings.ts";
import { addressOf, bytesOf, pointerTo } from "./expected_values.ts";
import type { SimpleOSFile } from "./simpleos_file.ts";

/** Bytes that `code_attack` puts over the first ones of `shutdown`. */
const emptySize = (file: SimpleOSFile) =>
  Number(file.address("empty_end") - file.address("empty_start"));

/** What a comparison tells of the redirected slot of the system call table. */
export const dataCompared: ExpectedFinding = {
  rule: "XK-002",
  seen: "compare",
  what: "sys_call_table",
  symbol: "shutdown_p",
  address: addressOf("shutdown_p"),
  summary: "pointer was redirected from shutdown to empty",
  expected: pointerTo("shutdown"),
  found: pointerTo("empty"),
};

/** What a comparison tells of the overwritten function. */
export const codeCompared: ExpectedFinding = {
  rule: "XK-001",
  seen: "compare",
  what: "kernel text",
  symbol: "shutdown",
  address: addressOf("shutdown"),
  expected: bytesOf("shutdown", emptySize),
  found: bytesOf("empty_start", emptySize),
};
