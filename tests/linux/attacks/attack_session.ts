import type { Guest, Lab } from "../../lab/mod.ts";
import type { LinuxGuest, LinuxGuestType } from "../../lab/linux_guest.ts";
import { Monitor } from "../../support/monitor.ts";
import type {
  PrintedEvent,
  PrintedFinding,
} from "../../support/printed_event.ts";
import { untilQuiet } from "../../support/until_quiet.ts";
import type { Answer } from "./answer.ts";
import type { Attack } from "./attack.ts";
import { Attacker } from "./attacker.ts";
import type { Outcome } from "./outcome.ts";
import { startAttacked } from "./start_attacked.ts";

/** Bytes that a finding is about at least, of contents and of page tables. */
const WORD = 8n;
const PAGE = 4096n;

/** In the emulator all takes its time: limits in ms. */
const OPEN_LIMIT = 240_000;
const FIND_LIMIT = 60_000;
/** Where the whole kernel half is searched, which xkmon does once a minute. */
const FAR_LIMIT = 400_000;
const EFFECT_LIMIT = 30_000;

/** From one pass to the next, s. */
const INTERVAL = "0.5";

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A Linux guest of a lab, xkmon that guards it, and its attacker. */
export class AttackSession implements AsyncDisposable {
  /** Of the guest. */
  readonly type: LinuxGuestType;
  #guest: Guest;
  #monitor: Monitor;
  #attacker: Attacker;

  private constructor(
    type: LinuxGuestType,
    guest: Guest,
    monitor: Monitor,
    attacker: Attacker,
  ) {
    this.type = type;
    this.#guest = guest;
    this.#monitor = monitor;
    this.#attacker = attacker;
  }

  /**
   * Starts a guest, its guard and its attacker.
   *
   * @param lab of `attackLab`, with the same kernel.
   * @throws {Error} if xkmon has anything to say of the guest as it is.
   */
  static async start(
    lab: Lab,
    linux: LinuxGuest,
    type: LinuxGuestType,
  ): Promise<AttackSession> {
    const guest = await startAttacked(lab, linux, type);
    const { name } = guest;
    const monitor = await Monitor.start(
      lab,
      ...["--dom", name, "--on-attack", "report", "--interval", INTERVAL],
      // Dom0 writes past whatever stops the guest, and cannot write to a lock
      ...["--rungs", "poll"],
    );
    await monitor.armed(undefined, OPEN_LIMIT);
    const attacker = await Attacker.start(lab, name);
    const session = new AttackSession(type, guest, monitor, attacker);
    await untilQuiet(monitor);
    const findings = await monitor.findings();
    if (findings.length > 0) {
      throw new Error(`a clean guest is accused: ${JSON.stringify(findings)}`);
    }
    return session;
  }

  /** Makes one attack, waits until it is found, and undoes it. */
  async run(attack: Attack): Promise<Outcome> {
    const { name } = attack;
    const wanted = attack.rules[this.type];
    const before = (await this.#monitor.events()).length;
    const consoleBefore = (await this.#guest.console()).length;
    const { skipped, time, places = [], effect } = await this.#attacker.command(
      name,
    );
    if (skipped !== undefined || typeof wanted === "string") {
      return { name, hole: skipped ?? `${wanted}`, found: [], wrong: [] };
    }
    const events = await this.#found(attack, wanted, before);
    const wrong: string[] = [];
    if (effect !== undefined) {
      const shown = await this.#shows(new RegExp(effect), consoleBefore);
      if (!shown) wrong.push(`the guest does not say ${effect}`);
    }
    const { wasThere } = await this.#attacker.command("undo");
    if (!wasThere) wrong.push("the guest has put it back by itself");
    await untilQuiet(this.#monitor);
    const all = (await this.#monitor.events()).slice(before);
    for (const { finding, unreadable } of all) {
      if (unreadable !== undefined) {
        wrong.push(
          `could not tell: ${unreadable.rule.id} ${unreadable.what}: ${unreadable.reason}`,
        );
      }
      if (finding === undefined) continue;
      const isOther = !wanted.includes(finding.rule.id);
      if (isOther || !isIn(finding, places)) wrong.push(inWords(finding));
    }
    const found = new Set(events.map(({ finding }) => finding!.rule.id));
    const missed = wanted.filter((id) => !found.has(id));
    if (missed.length > 0) wrong.push(`not found by ${missed.join(", ")}`);
    const times = wanted.filter((id) => found.has(id)).map((id) => {
      const { time } = events.find(({ finding }) => finding!.rule.id === id)!;
      return Date.parse(time);
    });
    return {
      name,
      found: [...found].sort(),
      ...(missed.length > 0 ? {} : { time: Math.max(...times) - time! }),
      wrong: [...new Set(wrong)],
    };
  }

  /** Waits for all rules that must find it, or until it is too late. */
  async #found(
    { isFar }: Attack,
    wanted: readonly string[],
    before: number,
  ): Promise<readonly PrintedEvent[]> {
    const limit = Date.now() + (isFar ? FAR_LIMIT : FIND_LIMIT);
    while (true) {
      const events = (await this.#monitor.events()).slice(before)
        .filter(({ type }) => type === "finding");
      const ids = events.map(({ finding }) => finding!.rule.id);
      const isAll = wanted.every((id) => ids.includes(id));
      if (isAll || Date.now() > limit) return events;
      await delay(100);
    }
  }

  async #shows(effect: RegExp, from: number): Promise<boolean> {
    const limit = Date.now() + EFFECT_LIMIT;
    while (Date.now() < limit) {
      if (effect.test((await this.#guest.console()).slice(from))) return true;
      await delay(200);
    }
    return false;
  }

  /** Ends all three. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#monitor[Symbol.asyncDispose]();
    await this.#attacker[Symbol.asyncDispose]();
    await this.#guest.destroy();
  }
}

/**
 * Whether a finding is about a place that was changed, or about none: contents
 * by the byte or the word, page tables by the page.
 */
function isIn(
  { address, seen }: PrintedFinding,
  places: NonNullable<Answer["places"]>,
): boolean {
  if (places.length === 0) return true;
  const unit = seen === "compare" ? WORD : PAGE;
  return places.some(([start, size]) =>
    BigInt(address) >= BigInt(start) / unit * unit &&
    BigInt(address) < BigInt(start) + BigInt(size)
  );
}

function inWords({ rule, address, symbol, summary }: PrintedFinding): string {
  return `named ${rule.id} at ${address} (${symbol}): ${summary}`;
}
