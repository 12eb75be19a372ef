import type { Profile } from "../guestos/profile.ts";
import type { Detector, Finding } from "./finding.ts";
import type { PvCpuState } from "../guestos/cpu_state.ts";
import type { Guest } from "./guest.ts";
import { littleEndian } from "./little_endian.ts";
import { rules } from "./rules.ts";

/** How Xen calls a handler (struct trap_info). */
interface Handler {
  readonly address: bigint;
  /** Code segment selector */
  readonly cs: number;
  /** Privilege level that may raise it by `int`, and whether events are masked */
  readonly flags: number;
}

const NONE: Handler = { address: 0n, cs: 0, flags: 0 };

function callback(address: bigint): Handler {
  return { ...NONE, address };
}

function read({ traps, callbacks }: PvCpuState): Map<string, Handler> {
  return new Map<string, Handler>([
    ...traps.map(({ vector, address, cs, flags }) =>
      [`trap ${vector}`, { address, cs, flags }] as const
    ),
    ["event callback", callback(callbacks.event)],
    ["failsafe callback", callback(callbacks.failsafe)],
    ["system call callback", callback(callbacks.syscall)],
  ]);
}

/** The virtual CPUs; other than PV guests register no handlers with Xen. */
function pvCpus(guest: Pick<Guest, "cpus">): PvCpuState[] {
  return guest.cpus.filter((cpu) => cpu.kind === "pv");
}

/** Whether a virtual CPU has the very handlers that it had. */
function isSame(now: PvCpuState, before: PvCpuState | undefined): boolean {
  return now.traps === before?.traps &&
    now.callbacks.event === before.callbacks.event &&
    now.callbacks.failsafe === before.callbacks.failsafe &&
    now.callbacks.syscall === before.callbacks.syscall;
}

/**
 * XK-004: the handlers that the guest registered with Xen are those that the
 * kernel file tells, and for the others those of the first reading.
 */
export class TrapTable implements Detector {
  readonly rule = rules.trapTable;
  #guest: Pick<Guest, "cpus">;
  #profile: Profile;
  /** By virtual CPU, then by what the handler is for */
  #trusted: Map<number, Map<string, Handler>>;
  /** By virtual CPU, its state when it was last found to be right */
  #right = new Map<number, PvCpuState>();

  constructor(guest: Pick<Guest, "cpus">, profile: Profile) {
    this.#guest = guest;
    this.#profile = profile;
    this.#trusted = new Map(pvCpus(guest).map((cpu) => [cpu.vcpu, read(cpu)]));
    for (const handlers of this.#trusted.values()) {
      for (const [vector, address] of profile.handlers) {
        const name = `trap ${vector}`;
        handlers.set(name, { ...handlers.get(name) ?? NONE, address });
      }
    }
  }

  check(): Finding[] {
    const findings: Finding[] = [];
    for (const cpu of pvCpus(this.#guest)) {
      const { vcpu } = cpu;
      if (isSame(cpu, this.#right.get(vcpu))) continue;
      const now = read(cpu);
      const found = findings.length;
      // A virtual CPU that came up later takes the first one's handlers
      const trusted = this.#trusted.get(vcpu) ?? this.#trusted.get(0);
      if (trusted === undefined) continue;
      for (const handler of new Set([...trusted.keys(), ...now.keys()])) {
        const before = trusted.get(handler) ?? NONE;
        const after = now.get(handler) ?? NONE;
        if (before.address !== after.address) {
          findings.push(
            this.#replaced(vcpu, handler, before.address, after.address),
          );
        } else if (before.cs !== after.cs || before.flags !== after.flags) {
          findings.push(this.#changed(vcpu, handler, before, after));
        }
      }
      if (findings.length === found) this.#right.set(vcpu, cpu);
    }
    return findings;
  }

  #changed(
    vcpu: number,
    handler: string,
    before: Handler,
    after: Handler,
  ): Finding {
    const { address } = after;
    const text = ({ cs, flags }: Handler) =>
      `code segment 0x${cs.toString(16)}, flags 0x${flags.toString(16)}`;
    return {
      rule: this.rule,
      seen: "drift",
      what: `handler of ${handler}`,
      address,
      symbol: this.#profile.symbols.describe(address),
      summary: `handler of ${handler} is called otherwise on vCPU ${vcpu}: ${
        text(before)
      } became ${text(after)}`,
      key: `${this.rule.id} ${vcpu} ${handler} ${after.cs} ${after.flags}`,
    };
  }

  #replaced(
    vcpu: number,
    handler: string,
    before: bigint,
    after: bigint,
  ): Finding {
    const { symbols } = this.#profile;
    const name = (address: bigint) =>
      address === 0n ? "none" : symbols.describe(address);
    return {
      rule: this.rule,
      seen: "drift",
      what: `handler of ${handler}`,
      address: before === 0n ? after : before,
      symbol: name(before === 0n ? after : before),
      summary: `handler of ${handler} was replaced on vCPU ${vcpu}: ${
        name(before)
      } became ${name(after)}`,
      expected: littleEndian(before),
      found: littleEndian(after),
      key: `${this.rule.id} ${vcpu} ${handler} ${after.toString(16)}`,
    };
  }
}
