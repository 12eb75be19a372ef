import type {
  CpuState,
  DescriptorTable,
  HvmCpuState,
} from "../guestos/cpu_state.ts";
import type { Profile } from "../guestos/profile.ts";
import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { TableLoad } from "../xen/protection.ts";
import type { Detector, Finding, Told } from "./finding.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";
import { littleEndian } from "./little_endian.ts";
import { rules } from "./rules.ts";
import { tellUnreadable } from "./tell_unreadable.ts";

const PAGE_BYTES = BigInt(PAGE_SIZE);
const DESCRIPTOR_SIZE = 8;
/**
 * Bytes of one gate of an interrupt table. A table that is shorter leads
 * nowhere: kernels load one to have the processor reset itself
 */
const GATE_SIZE = 16;
/** Largest table, bytes */
const MAX_LIMIT = 0xffff;
/**
 * Descriptors that change with each task: those of the local table and of
 * thread-local storage (arch/x86/include/asm/segment.h)
 */
const TASK_DESCRIPTORS = [10, 11, 12, 13, 14];
/** Type of a task state: whether it is busy (Intel SDM vol. 3A, 8.2.2) */
const TASK_STATE = 8;
const BUSY_BYTE = 5;
const BUSY = 0x02;

const TABLES = ["idt", "gdt"] as const;
type TableName = typeof TABLES[number];

/** What one virtual CPU had when xkmon armed. */
interface Baseline {
  readonly tables: Readonly<Record<TableName, DescriptorTable>>;
  /** Frame of the global table */
  readonly gdtFrame: bigint;
  /** Contents of the global table, without what changes with each task */
  readonly gdt: Uint8Array;
}

/**
 * XK-011: each virtual CPU uses the descriptor tables that it used when xkmon
 * armed, its interrupts go through the kernel's own table, and no global
 * descriptor changes but those of tasks. What the interrupt table holds is
 * compared as a region.
 */
export class DescriptorTables implements Detector {
  readonly rule = rules.descriptorTables;
  #guest: Guest;
  #settled: Pick<Guest, "cpus">;
  #symbols: SymbolTable;
  #idt: bigint | undefined;
  /** By virtual CPU; filled when it is first seen */
  #baselines = new Map<number, Baseline>();

  /**
   * @param settled The virtual CPUs that are judged
   * @param profile Where the kernel's interrupt table is, as far as that is known
   */
  constructor(
    guest: Guest,
    settled: Pick<Guest, "cpus">,
    { symbols, idt }: Pick<Profile, "symbols" | "idt">,
  ) {
    this.#guest = guest;
    this.#settled = settled;
    this.#symbols = symbols;
    this.#idt = idt;
  }

  *check(): Generator<Told> {
    for (const cpu of this.#settled.cpus) {
      if (!hasTables(cpu)) continue;
      try {
        yield* this.#checkCpu(cpu);
      } catch (error) {
        yield tellUnreadable(this.rule, this.#symbols, error);
      }
    }
  }

  *#checkCpu(cpu: HvmCpuState & Baseline["tables"]): Generator<Told> {
    const { vcpu, idt } = cpu;
    const baseline = this.#baselines.get(vcpu) ?? this.#take(cpu);
    for (const name of TABLES) {
      const { base } = cpu[name];
      const before = baseline.tables[name];
      if (this.#isTrusted(name, cpu[name], baseline)) continue;
      yield this.#finding(
        `${name.toUpperCase()}R of vCPU ${vcpu}`,
        base,
        `${name.toUpperCase()}R of vCPU ${vcpu} was changed from 0x${
          before.base.toString(16)
        } to 0x${base.toString(16)}`,
      );
    }
    if (
      this.#idt !== undefined &&
      this.#guest.frame(idt.base) !== this.#guest.frame(this.#idt)
    ) {
      yield this.#finding(
        `IDT of vCPU ${vcpu}`,
        idt.base,
        `vCPU ${vcpu} uses another interrupt table than the kernel's own`,
      );
    }
    const now = readGdt(this.#guest, cpu.gdt);
    const count = Math.min(now.length, baseline.gdt.length) / DESCRIPTOR_SIZE;
    for (let index = 0; index < count; index++) {
      const at = index * DESCRIPTOR_SIZE;
      const found = now.slice(at, at + DESCRIPTOR_SIZE);
      const expected = baseline.gdt.slice(at, at + DESCRIPTOR_SIZE);
      if (found.toHex() === expected.toHex()) continue;
      yield {
        ...this.#finding(
          `GDT of vCPU ${vcpu}`,
          cpu.gdt.base + BigInt(at),
          `global descriptor ${index} of vCPU ${vcpu} was changed`,
        ),
        expected,
        found,
        key: `${this.rule.id} ${vcpu} GDT ${index} ${found.toHex()}`,
      };
    }
  }

  judgeLoad(
    { vcpu, ip, register, value }: TableLoad,
  ): Finding | undefined {
    const baseline = this.#baselines.get(vcpu);
    // One that comes up loads what the boot needs, and says so all that time
    const judged = baseline !== undefined &&
      this.#settled.cpus.some((cpu) => cpu.vcpu === vcpu);
    const mayBe = !judged || value.limit < GATE_SIZE - 1 ||
      this.#isTrusted(register, value, baseline);
    if (mayBe) return undefined;
    const { base } = value;
    const name = `${register.toUpperCase()}R of vCPU ${vcpu}`;
    return {
      ...this.#finding(
        name,
        base,
        `${name} was to be changed to 0x${base.toString(16)}, and is not`,
      ),
      seen: "stop",
      expected: littleEndian(baseline.tables[register].base),
      attempted: littleEndian(base),
      ip,
      ipSymbol: this.#symbols.describe(ip),
      key: `${this.rule.id} stop ${vcpu} ${register} ${base.toString(16)} ${
        ip.toString(16)
      }`,
    };
  }

  #isTrusted(
    name: TableName,
    { base, limit }: DescriptorTable,
    baseline: Baseline,
  ): boolean {
    const before = baseline.tables[name];
    const isSame = base === before.base ||
      name === "gdt" && this.#isMapping(base, baseline);
    return isSame && limit === before.limit;
  }

  /** Linux has a writable mapping of each table too, and uses it at times. */
  #isMapping(base: bigint, { gdtFrame, tables: { gdt } }: Baseline): boolean {
    if ((base - gdt.base) % PAGE_BYTES !== 0n) return false;
    const [walk] = this.#guest.walks(base - base % PAGE_BYTES, PAGE_SIZE);
    return walk?.kind === "mapped" && walk.frame === gdtFrame;
  }

  #take(cpu: HvmCpuState & Baseline["tables"]): Baseline {
    const { idt, gdt } = cpu;
    const baseline = {
      tables: { idt, gdt },
      gdtFrame: this.#guest.frame(gdt.base),
      gdt: readGdt(this.#guest, gdt),
    };
    this.#baselines.set(cpu.vcpu, baseline);
    return baseline;
  }

  #finding(what: string, address: bigint, summary: string): Finding {
    return {
      rule: this.rule,
      seen: "drift",
      what,
      address,
      symbol: this.#symbols.describe(address),
      summary,
      key: `${this.rule.id} ${what} ${address.toString(16)}`,
    };
  }
}

function hasTables(
  cpu: CpuState,
): cpu is HvmCpuState & Record<TableName, DescriptorTable> {
  return cpu.kind === "hvm" && cpu.idt !== undefined && cpu.gdt !== undefined;
}

/** The global descriptors, those that change with each task as zeros. */
function readGdt(guest: Guest, { base, limit }: DescriptorTable): Uint8Array {
  const size = Math.min(limit, MAX_LIMIT) + 1;
  const bytes = guest.read(base, size - size % DESCRIPTOR_SIZE);
  for (const index of TASK_DESCRIPTORS) {
    const at = index * DESCRIPTOR_SIZE;
    bytes.fill(0, at, at + DESCRIPTOR_SIZE);
  }
  const busy = TASK_STATE * DESCRIPTOR_SIZE + BUSY_BYTE;
  if (busy < bytes.length) bytes[busy]! &= ~BUSY;
  return bytes;
}
