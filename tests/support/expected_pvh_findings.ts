import type { PVH_ATTACKS } from "../simpleos/guest.ts";
import { codeCompared, dataCompared } from "./compared_findings.ts";
import type { ExpectedFinding } from "./expected_findings.ts";
import { addressOf, pageOf } from "./expected_values.ts";

const codeIsWritable: ExpectedFinding = {
  rule: "XK-003",
  seen: "drift",
  drift: "writable",
  what: "kernel text",
  address: pageOf("shutdown"),
};

/**
 * What xkmon must find of each attack of a PVH guest, no more and no less. The
 * guest's data is writable by nature and has a second mapping: neither tells
 * of an attack.
 */
export const expectedPvhFindings: Readonly<
  Record<typeof PVH_ATTACKS[number], readonly ExpectedFinding[]>
> = {
  data_attack: [dataCompared],
  code_attack: [codeCompared],
  data_attack_remap: [dataCompared],
  code_attack_remap: [{ ...codeCompared, method: "remap" }, codeIsWritable],
  data_attack_hypercall: [dataCompared],
  code_attack_hypercall: [codeCompared],
  data_attack_alias: [dataCompared],
  code_attack_alias: [codeCompared],
  data_attack_swap: [
    { ...dataCompared, method: "swap" },
    {
      rule: "XK-003",
      seen: "drift",
      drift: "swapped",
      what: "sys_call_table",
      address: pageOf("shutdown_p"),
    },
  ],
  data_attack_populate: [dataCompared],
  data_attack_move: [dataCompared],
  mute_attack: [
    { ...codeCompared, method: "remap" },
    codeIsWritable,
    {
      rule: "XK-011",
      seen: "compare",
      what: "interrupt descriptor table",
      symbol: "idt_table+0xe0",
      method: "remap",
    },
    {
      rule: "XK-003",
      seen: "drift",
      drift: "writable",
      what: "interrupt descriptor table",
      address: addressOf("idt_table"),
    },
  ],
  idt_attack: [
    { ...codeCompared, method: "remap" },
    codeIsWritable,
    { rule: "XK-011", seen: "drift", what: "IDTR of vCPU 0" },
    {
      rule: "XK-011",
      seen: "drift",
      what: "IDT of vCPU 0",
      summary: "vCPU 0 uses another interrupt table than the kernel's own",
    },
  ],
};
