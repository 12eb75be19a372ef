import type { Profile } from "../guestos/profile.ts";
import type { Detector, Finding } from "./finding.ts";
import type { Guest } from "./guest.ts";
import { littleEndian } from "./little_endian.ts";
import { rules } from "./rules.ts";

/**
 * XK-004: the handlers that the guest registered with Xen are those that the
 * kernel file tells, and for the others those of the first reading.
 */
export class TrapTable implements Detector {
  readonly rule = rules.trapTable;
  #guest: Guest;
  #profile: Profile;
  /** By virtual CPU, then by what the handler is for */
  #trusted: Map<number, Map<string, bigint>>;

  constructor(guest: Guest, profile: Profile) {
    this.#guest = guest;
    this.#profile = profile;
    this.#trusted = this.#read();
    for (const handlers of this.#trusted.values()) {
      for (const [vector, address] of profile.handlers) {
        handlers.set(`trap ${vector}`, address);
      }
    }
  }

  #read(): Map<number, Map<string, bigint>> {
    return new Map(this.#guest.cpus.map(({ vcpu, traps, callbacks }) => [
      vcpu,
      new Map([
        ...traps.map(({ vector, address }) =>
          [`trap ${vector}`, address] as const
        ),
        ["event callback", callbacks.event] as const,
        ["failsafe callback", callbacks.failsafe] as const,
        ["system call callback", callbacks.syscall] as const,
      ]),
    ]));
  }

  check(): Finding[] {
    const findings: Finding[] = [];
    for (const [vcpu, now] of this.#read()) {
      // A virtual CPU that came up later takes the first one's handlers
      const trusted = this.#trusted.get(vcpu) ?? this.#trusted.get(0);
      if (trusted === undefined) continue;
      for (const handler of new Set([...trusted.keys(), ...now.keys()])) {
        const before = trusted.get(handler) ?? 0n;
        const after = now.get(handler) ?? 0n;
        if (before !== after) {
          findings.push(this.#finding(vcpu, handler, before, after));
        }
      }
    }
    return findings;
  }

  #finding(
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
