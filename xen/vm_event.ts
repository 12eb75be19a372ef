import { constants } from "./constants.ts";
import type { ControlRegister } from "./control.ts";
import { vmEvent } from "./layouts.ts";

/** Something that happened in a guest; its virtual CPU waits for the answer. */
export type VmEvent =
  & {
    readonly vcpu: number;
    /** Guest virtual address of the instruction */
    readonly ip: bigint;
  }
  & (
    | {
      readonly kind: "memory";
      /** Guest frame of the page, and where on it */
      readonly frame: bigint;
      readonly offset: number;
      readonly writes: boolean;
      /** Guest virtual address that was used, where the processor tells it */
      readonly address?: bigint;
      /** It is an entry that the processor marks on its way to that address */
      readonly inWalk: boolean;
    }
    | {
      readonly kind: "control register";
      readonly register: ControlRegister;
      readonly value: bigint;
      readonly before: bigint;
    }
    | {
      readonly kind: "msr";
      readonly msr: number;
      readonly value: bigint;
      readonly before: bigint;
    }
    | {
      readonly kind: "descriptor table";
      readonly register: "idt" | "gdt" | "ldt" | "tr";
      readonly writes: boolean;
    }
    /** It has finished an instruction */
    | { readonly kind: "step" }
    | { readonly kind: "unknown"; readonly reason: number }
  );

/** An access to memory. */
export type MemoryEvent = VmEvent & { readonly kind: "memory" };

/**
 * What is to become of it.
 *
 * - `go on`: it happens; of memory, it is tried again, and told again unless the
 *   page allows it by then
 * - `discard`: it happens as Xen's emulator does it, but nothing is written
 * - `discard and step`: the same, and from then on each instruction is told when
 *   it is finished; the next one is the first
 * - `end steps`: no instruction is told any more
 * - `deny`: the register stays as it was
 * - `emulate`: it happens as Xen's emulator does it
 * - `goOnAt`: nothing happens; the virtual CPU goes on at that address
 */
export type VmAnswer = KnownAnswer | { readonly goOnAt: bigint };

type KnownAnswer =
  | "go on"
  | "discard"
  | "discard and step"
  | "end steps"
  | "deny"
  | "emulate";

const {
  VM_EVENT_FLAG_VCPU_PAUSED,
  VM_EVENT_FLAG_EMULATE,
  VM_EVENT_FLAG_EMULATE_NOWRITE,
  VM_EVENT_FLAG_TOGGLE_SINGLESTEP,
  VM_EVENT_FLAG_DENY,
  VM_EVENT_FLAG_SET_REGISTERS,
} = constants;

// Without EMULATE nothing is emulated, and the write is only tried again
const DISCARD = VM_EVENT_FLAG_EMULATE | VM_EVENT_FLAG_EMULATE_NOWRITE;

const ANSWER_FLAGS: Readonly<Record<KnownAnswer, number>> = {
  "go on": 0,
  "discard": DISCARD,
  "discard and step": DISCARD | VM_EVENT_FLAG_TOGGLE_SINGLESTEP,
  "end steps": VM_EVENT_FLAG_TOGGLE_SINGLESTEP,
  "deny": VM_EVENT_FLAG_DENY,
  "emulate": VM_EVENT_FLAG_EMULATE,
};

const CONTROL_REGISTERS: Readonly<Record<number, ControlRegister>> = {
  [constants.VM_EVENT_X86_CR0]: "cr0",
  [constants.VM_EVENT_X86_CR4]: "cr4",
};

const TABLE_REGISTERS = {
  [constants.VM_EVENT_DESC_IDTR]: "idt",
  [constants.VM_EVENT_DESC_GDTR]: "gdt",
  [constants.VM_EVENT_DESC_LDTR]: "ldt",
  [constants.VM_EVENT_DESC_TR]: "tr",
} as const;

function isTableRegister(
  register: number,
): register is keyof typeof TABLE_REGISTERS {
  return register in TABLE_REGISTERS;
}

/**
 * Reads a raw `vm_event_t` (public/vm_event.h).
 *
 * @param view A copy: who shares the ring may write to it at any time
 */
export function decodeVmEvent(view: DataView): VmEvent {
  const u32 = (at: number) => view.getUint32(at, true);
  const u64 = (at: number) => view.getBigUint64(at, true);
  const common = { vcpu: u32(vmEvent.vcpu_id), ip: u64(vmEvent.rip) };
  const reason = u32(vmEvent.reason);
  switch (reason) {
    case constants.VM_EVENT_REASON_MEM_ACCESS: {
      const has = (flag: number) => (u32(vmEvent.access) & flag) !== 0;
      return {
        ...common,
        kind: "memory",
        frame: u64(vmEvent.gfn),
        offset: Number(u64(vmEvent.offset) & 0xfffn),
        writes: has(constants.MEM_ACCESS_W),
        ...(has(constants.MEM_ACCESS_GLA_VALID)
          ? { address: u64(vmEvent.gla) }
          : {}),
        inWalk: has(constants.MEM_ACCESS_FAULT_IN_GPT),
      };
    }
    case constants.VM_EVENT_REASON_WRITE_CTRLREG: {
      const register = CONTROL_REGISTERS[u32(vmEvent.ctrlreg)];
      if (register === undefined) break;
      return {
        ...common,
        kind: "control register",
        register,
        value: u64(vmEvent.ctrlreg_new),
        before: u64(vmEvent.ctrlreg_old),
      };
    }
    case constants.VM_EVENT_REASON_MOV_TO_MSR:
      return {
        ...common,
        kind: "msr",
        msr: u32(vmEvent.msr),
        value: u64(vmEvent.msr_new),
        before: u64(vmEvent.msr_old),
      };
    case constants.VM_EVENT_REASON_DESCRIPTOR_ACCESS: {
      const register = view.getUint8(vmEvent.descriptor);
      if (!isTableRegister(register)) break;
      return {
        ...common,
        kind: "descriptor table",
        register: TABLE_REGISTERS[register],
        writes: view.getUint8(vmEvent.desc_is_write) !== 0,
      };
    }
    case constants.VM_EVENT_REASON_SINGLESTEP:
      return { ...common, kind: "step" };
  }
  return { ...common, kind: "unknown", reason };
}

/**
 * Makes the answer of an event: the event itself with other flags, as Xen wants
 * it (version, virtual CPU, reason and what it was about).
 *
 * @param view The event's copy, which becomes the answer
 */
export function encodeVmAnswer(view: DataView, answer: VmAnswer): void {
  const paused = view.getUint32(vmEvent.flags, true) &
    VM_EVENT_FLAG_VCPU_PAUSED;
  const isKnown = typeof answer === "string";
  const flags = isKnown ? ANSWER_FLAGS[answer] : VM_EVENT_FLAG_SET_REGISTERS;
  view.setUint32(vmEvent.flags, paused | flags, true);
  // All other registers are those of the event
  if (!isKnown) view.setBigUint64(vmEvent.rip, answer.goOnAt, true);
}
