import { type CpuState, registerNames } from "../../guestos/cpu_state.ts";
import { PAGE_SIZE } from "../guest.ts";
import {
  type ExaminedCpu,
  type ExaminedGuest,
  KERNEL_HALF,
  type StackWord,
} from "./evidence.ts";
import type { KernelView } from "./kernel_view.ts";
import { gather } from "./part.ts";

const WORD = 8n;
/** Words of a stack that are shown, below and above its pointer */
const BELOW = 8n;
const ABOVE = 64n;

/** Examines a virtual CPU: its registers, its code, its stack. */
export function examineCpu(
  guest: ExaminedGuest,
  view: KernelView,
  state: CpuState,
): ExaminedCpu {
  const registers = gather(() => guest.registers(state.vcpu).values);
  const { ip } = state;
  return {
    state,
    entries: entriesOf(state).map(([name, value]) => ({
      name,
      ...view.word(value),
    })),
    registers: "missing" in registers ? registers : {
      value: registerNames.map((name) => ({
        name,
        ...view.word(registers.value[name]),
      })),
    },
    code: gather(() => {
      if (ip < KERNEL_HALF) {
        throw new Error("it runs a program, not the kernel");
      }
      return view.codeAround(
        (address, size) => guest.read(address, size),
        ip,
        1,
        (address) => address === ip,
      );
    }),
    stack: gather(() => {
      if ("missing" in registers) throw new Error(registers.missing);
      return stackAround(guest, view, registers.value.rsp);
    }),
  };
}

function entriesOf(state: CpuState): [name: string, value: bigint][] {
  if (state.kind === "pv") {
    const { event, failsafe, syscall } = state.callbacks;
    return [
      ["event callback", event],
      ["failsafe callback", failsafe],
      ["system call callback", syscall],
    ];
  }
  const { idt, gdt, msrs } = state;
  return [
    ...(idt === undefined ? [] : [["IDT", idt.base]] as [string, bigint][]),
    ...(gdt === undefined ? [] : [["GDT", gdt.base]] as [string, bigint][]),
    ...(msrs === undefined ? [] : [
      ["LSTAR", msrs.lstar],
      ["CSTAR", msrs.cstar],
      ["SYSENTER_EIP", msrs.sysenterIp],
      ["STAR", msrs.star],
    ] as [string, bigint][]),
  ];
}

function stackAround(
  guest: ExaminedGuest,
  view: KernelView,
  pointer: bigint,
): StackWord[] {
  if (pointer < KERNEL_HALF) {
    throw new Error("the stack pointer is not the kernel's");
  }
  const top = pointer - pointer % WORD;
  const words = [...wordsUp(guest, view, top, ABOVE)];
  // Pushed before, and perhaps on another page than can be read
  const below = gather(
    () => [...wordsUp(guest, view, top - BELOW * WORD, BELOW)],
  );
  return "missing" in below ? words : [...below.value, ...words];
}

/** @throws {UnreadableMemoryError} If the first word cannot be read */
function* wordsUp(
  guest: ExaminedGuest,
  view: KernelView,
  start: bigint,
  count: bigint,
): Generator<StackWord> {
  const end = start + count * WORD;
  for (let from = start; from < end;) {
    const page = from - from % BigInt(PAGE_SIZE) + BigInt(PAGE_SIZE);
    const to = page < end ? page : end;
    const bytes = gather(() => guest.read(from, Number(to - from)));
    if ("missing" in bytes) {
      if (from === start) throw new Error(bytes.missing);
      return;
    }
    const { buffer, byteOffset } = bytes.value;
    const words = new DataView(buffer, byteOffset);
    for (let at = 0; at < bytes.value.length; at += Number(WORD)) {
      yield {
        address: from + BigInt(at),
        ...view.word(words.getBigUint64(at, true)),
      };
    }
    from = to;
  }
}
