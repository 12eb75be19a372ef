import { UnreadableMemoryError } from "../guestos/memory.ts";
import type { Profile } from "../guestos/profile.ts";
import { attributeMethods } from "./attribute_method.ts";
import { PROTECTING_BITS } from "./control_registers.ts";
import { contentDetectors, stateDetectors } from "./detectors.ts";
import type { EventBody } from "./event.ts";
import type { Detector, Finding, PassResult, Unreadable } from "./finding.ts";
import type { LookDepth } from "../xen/look_depth.ts";
import type {
  GuestListener,
  InvariantRange,
  PlannedWrite,
  Protection,
  RegisterChange,
  Rung,
  StoppedWrite,
  TableLoad,
  Weakened,
} from "../xen/protection.ts";
import { type Guest, PAGE_SIZE, type WritableGuest } from "./guest.ts";
import { Incidents } from "./incidents.ts";
import { KernelMapping } from "./kernel_mapping.ts";
import { look } from "./look.ts";
import { movedPages, type PageFrames, pageFrames } from "./moved_pages.ts";
import { PageTables } from "./page_tables.ts";
import { RateLimit } from "./rate_limit.ts";
import { Reports } from "./reports.ts";
import {
  Responder,
  type RespondingGuest,
  type ResponseOptions,
} from "./responder.ts";
import { ResponsePlan } from "./response_plan.ts";
import { restoreFindings } from "./restore_findings.ts";
import { rules } from "./rules.ts";
import { SettledCpus } from "./settled_cpus.ts";
import { judgeRegisterChange } from "./register_change.ts";
import { judgeStoppedWrite } from "./stopped_write.ts";
import { tellBooting, tellUnreadable } from "./tell_unreadable.ts";
import { TrapTable } from "./trap_table.ts";
import { type TrustedRegion, trustRegion } from "./trusted_region.ts";
import { unblockedRegions } from "./unblocked_regions.ts";
import { VainHolds } from "./vain_holds.ts";
import { judgeWriteFault } from "./write_fault.ts";

/**
 * Passes after which a kernel that still says it boots is told of: a minute of
 * those that are made while it boots.
 */
const BOOT_PASSES = 1200;
/** Differences this close together are about the same, bytes */
const PLACE_SIZE = 64n;
/** Passes a second that the guest can cause itself, beyond those that are due */
const MAX_EXTRA_PASSES = 2;
const SECOND = 1000;

/** What is told of means that work less well than they did. */
const WEAKENED: Readonly<Record<Weakened, string>> = {
  log: "everything is compared at each pass from now on",
  pages:
    "writes to some pages were not stopped, but are found at the next pass",
  tables: "changes of page tables are not stopped, but found at the next pass",
  text: "writes to the kernel's code are not stopped, but found at the next " +
    "pass",
  registers:
    "loads of descriptor tables are not stopped, but found at the next pass",
};

/** More make no difference to the time from an event to the pause. */
const REHEARSALS = 3;
/** Rungs on which Xen tells of writes; at a gate, of those to data */
const TELLING: readonly Rung[] = ["trap", "gate"];

/** A guest that a guard may also protect and stop. */
export interface GuardedGuest extends Guest, WritableGuest, RespondingGuest {
  readonly domain: Guest["domain"];
  /**
   * Keeps the guest from writing to ranges as far as it can be kept from it.
   *
   * @param listener Is told of what was stopped
   */
  protect(
    ranges: readonly InvariantRange[],
    listener: GuestListener,
  ): Protection;
  /** Undoes `protect`; returns what was undone, in words, if anything was. */
  unprotect(): string | undefined;
  /** Pauses the guest, once, until it is judged. */
  hold(): void;
  /** Undoes `hold`, but not a pause because of an attack. */
  endHold(): void;
  /** Pauses the guest, once, because of an attack. */
  pauseForAttack(): void;
  /** Whether it stands still because of `hold` or `pauseForAttack` */
  readonly held: boolean;
  readonly pausedForAttack: boolean;
}

/** How a guard works. */
export interface GuardOptions extends ResponseOptions {
  /** What may be done to keep the guest from writing */
  readonly rungs: readonly Rung[];
  /** Milliseconds from one full pass to the next */
  readonly fullPassInterval: number;
  /** Gets what would be told of a write that never was: nobody is to know */
  readonly rehearsed?: (event: EventBody) => void;
  /** Gets what failed in answer to what the guest did, as no caller is there */
  readonly failed: (error: unknown) => void;
}

/**
 * Guards one guest: arms, looks, judges, responds. It knows no clock and no
 * event source; who owns those calls `pass` and `faults`.
 */
export class Guard {
  #guest: GuardedGuest;
  #profile: Profile;
  #options: GuardOptions;
  #reports: Reports;
  #responder: Responder;
  #incidents = new Incidents();
  #vainHolds = new VainHolds();
  #regions: TrustedRegion[] = [];
  #detectors: Detector[] = [];
  /** Those that compare with what they saw when the kernel was up first */
  #lasting: readonly Detector[] | undefined;
  /** Where the regions led then, before anything was done to them */
  #frames: PageFrames | undefined;
  #booted = false;
  /** Whether every mapping of every region was made read-only */
  #sealed = false;
  /** Of each region */
  #rungs: readonly Rung[] = [];
  /** `refused` because the toolstack asks something, `off` while it waits */
  #locks: "on" | "refused" | "off" = "on";
  /** Whether the last arming failed, and the next pass has to try again */
  #armingIsDue = false;
  /** Keys of what was found when the guard armed */
  #atArming: ReadonlySet<string> = new Set();
  #passes = 0;
  #extraPasses = new RateLimit(MAX_EXTRA_PASSES, SECOND);
  #lastFull = -Infinity;
  /** Sequences of the records that were on the fault page last time */
  #lastFaults: ReadonlySet<bigint> = new Set();
  /** Whether an attack stopped it for good: if it runs, an operator let it */
  #leftPaused = false;
  /** Whether that is for good, so that no restoration lets it run */
  #mustStay = false;
  /** Responses that are being made: evidence takes time */
  #responding = 0;

  /** @param report Gets every event, in order */
  constructor(
    guest: GuardedGuest,
    profile: Profile,
    options: GuardOptions,
    report: (event: EventBody) => void,
  ) {
    this.#guest = guest;
    this.#profile = profile;
    this.#options = options;
    this.#reports = new Reports(report);
    this.#responder = new Responder(
      guest,
      options,
      report,
      () => this.#restore(),
      () => ({
        os: this.#profile.os,
        regions: this.#regions.map((region, index) => ({
          region,
          rung: this.#rungs[index] ?? "poll",
        })),
      }),
    );
  }

  /** Passes so far. */
  get passes(): number {
    return this.#passes;
  }

  /** Whether the kernel is up, so that all rules are at work. */
  get booted(): boolean {
    return this.#booted;
  }

  /**
   * Takes the trusted copies, makes the regions read-only and puts the rules
   * to work: those on contents at once, the others once the kernel is up.
   *
   * @throws {UnreadableMemoryError} If a region is not mapped
   */
  arm(): void {
    const { symbols, regions, protectable } = this.#profile;
    this.#guest.refresh("pass");
    // What a kernel that is up says of itself may be an attacker's word
    const booted = this.#booted || this.#profile.booted(this.#guest);
    if (this.#regions.length === 0) {
      this.#regions = regions.map((region) => trustRegion(this.#guest, region));
    }
    // What changed since, while nothing was protected, is not trusted again
    const frames = pageFrames(this.#guest, this.#regions);
    if (booted) this.#frames ??= frames;
    const moved = movedPages(this.#frames ?? frames, frames);
    const protection = this.#guest.protect(
      this.#regions.map(({ sealable = false, living, source, ...region }) => ({
        ...region,
        patched: living !== undefined,
        // To a log of writes each use of a table is one
        settled: booted && !this.#options.rungs.includes("dirty"),
        rungs: this.#options.rungs.filter((rung) => {
          if (rung === "protect") return protectable;
          // A kernel that boots moves its pages
          if (rung === "lock") {
            return sealable && booted && this.#locks !== "off";
          }
          // What it writes itself is let through, one by one, where all is
          // known that it may write: what is dropped ends the writer
          const isPatched = rung === "trap" && booted &&
            living !== undefined && source === "kernel file";
          return rung === "poll" || rung === "dirty" || sealable || isPatched;
        }),
      })),
      this.#listener(),
    );
    this.#detectors = contentDetectors(
      this.#guest,
      this.#profile,
      this.#regions,
    );
    if (booted) {
      this.#lasting ??= this.#lastingDetectors();
      this.#detectors.push(
        protectable
          ? new PageTables(
            this.#guest,
            symbols,
            // What is polled is as the kernel mapped it
            this.#regions.map((region, index) =>
              protection.rungs[index] === "poll"
                ? { ...region, writable: true }
                : region
            ),
            moved,
          )
          : new KernelMapping(this.#guest, symbols, this.#regions, moved),
        ...this.#lasting,
      );
    }
    this.#profile.refresh?.();
    const { findings } = look(this.#guest, this.#detectors, symbols, false);
    if (!this.#booted) {
      this.#atArming = new Set(findings.map(({ key }) => key));
    }
    this.#booted = booted;
    this.#armingIsDue = false;
    const { rungs, entries, registers, refused, asked = false } = protection;
    if (this.#locks !== "off") this.#locks = asked ? "refused" : "on";
    this.#sealed = rungs.every((rung) => rung === "protect" || rung === "lock");
    this.#rungs = rungs;
    if (registers || rungs.some((rung) => rung !== "poll")) this.#rehearse();
    if (refused !== undefined) {
      const text = `not all changes can be stopped: ${refused}`;
      this.#reports.notice(text);
    }
    this.#reports.tell({
      type: "armed",
      os: this.#profile.os,
      phase: booted ? "running" : "booting",
      regions: this.#regions.map((
        { name, kind, start, size, source, sha256 },
        index,
      ) => ({
        name,
        kind,
        rung: rungs[index]!,
        start,
        pages: size / PAGE_SIZE,
        source,
        sha256,
      })),
      entries,
      registers,
    });
    const { responses } = this.#options;
    const text = unblockedRegions(this.#regions, rungs, responses);
    if (text !== undefined) this.#reports.notice(text);
  }

  #lastingDetectors(): readonly Detector[] {
    const settled = new SettledCpus(this.#guest, this.#profile.isOnline);
    return [
      new TrapTable(settled, this.#profile),
      ...stateDetectors(this.#guest, settled, this.#profile, false),
    ];
  }

  /**
   * Takes locks off, since the guest is to be saved: what it maps must be its
   * own. The other rungs stay. A guest that an attack has stopped could not
   * suspend, and is left as it is.
   *
   * @returns Whether there were any
   */
  async suspendLocks(): Promise<boolean> {
    if (this.#locks === "refused") this.#locks = "off";
    if (!this.#rungs.includes("lock")) return false;
    // Page tables as they are become trusted: what is wrong is told before
    await this.pass();
    if (this.#guest.pausedForAttack || this.#detectors.length === 0) {
      return false;
    }
    this.#locks = "off";
    this.#guest.unprotect();
    this.#armAnew();
    return true;
  }

  /** Locks again what `suspendLocks` let go. */
  async resumeLocks(): Promise<void> {
    if (this.#locks !== "off" || this.#detectors.length === 0) return;
    await this.pass();
    if (this.#guest.pausedForAttack || this.#detectors.length === 0) return;
    this.#locks = "on";
    this.#armAnew();
  }

  /** A guest that hides its pages must not end the monitor by that. */
  #armAnew(): void {
    try {
      this.arm();
    } catch (error) {
      if (!(error instanceof UnreadableMemoryError)) throw error;
      this.#armingIsDue = true;
      // The others know page tables that are no more
      this.#detectors = contentDetectors(
        this.#guest,
        this.#profile,
        this.#regions,
      );
    }
  }

  #listener(): GuestListener {
    const listener = {
      stopped: (write: StoppedWrite) => this.#stopped(write),
      pauses: this.#stops,
      mayPatch: (write: PlannedWrite) => this.#mayPatch(write),
      weakened: (what: Weakened, reason: string) =>
        this.#reports.notice(`${WEAKENED[what]}: ${reason}`),
    };
    if (!this.#options.rungs.includes("trap")) return listener;
    return {
      ...listener,
      registers: {
        bits: PROTECTING_BITS,
        mayChange: (change) => this.#mayChange(change),
        mayLoad: (load) => this.#mayLoad(load),
        denied: (load) => this.#denied(load),
        loadedUnread: () => this.#loadedUnread(),
        weakened: listener.weakened,
      },
    };
  }

  /** Whether an attack may stop the guest. */
  get #stops(): boolean {
    return this.#options.responses.mayStop;
  }

  /** Whether a guest that an attack has stopped was let run since then. */
  get #ran(): boolean {
    return this.#leftPaused && !this.#guest.pausedForAttack;
  }

  /** Stops the guest until it is judged, unless that was in vain too often. */
  #holdToLook(): void {
    if (this.#vainHolds.mayHold(performance.now())) this.#guest.hold();
  }

  /** Lets the guest run that was stopped for nothing. */
  #endVainHold(): void {
    const wasHeld = this.#guest.held && !this.#guest.pausedForAttack;
    this.#guest.endHold();
    const text = wasHeld ? this.#vainHolds.add(performance.now()) : undefined;
    if (text !== undefined) this.#reports.notice(text);
  }

  /**
   * Stops the guest for nothing, a few times, and judges writes that never were:
   * code that runs for the first time is compiled then, and an attacker would
   * have that time, or a guest would have to wait for it.
   */
  #rehearse(): void {
    const rehearsal = this.#rehearsal();
    for (let time = 0; time < REHEARSALS; time++) {
      this.hold();
      this.#guest.endHold();
      for (const [index, { start, size }] of this.#regions.entries()) {
        if (!TELLING.includes(this.#rungs[index]!)) continue;
        const walk = this.#guest.walks(start, size)[0];
        if (walk?.kind !== "mapped") continue;
        // Another instruction each time, since what was told is not told again
        const ip = start + BigInt(time);
        rehearsal.#stopped({ vcpu: 0, ip, frame: walk.frame, offset: 0 });
      }
    }
  }

  /** One more guard like this, which only reports, and to nobody. */
  #rehearsal(): Guard {
    const { rehearsed = () => {} } = this.#options;
    const responses = new ResponsePlan({ response: "report", dump: false });
    // What is really wrong, the next pass tells
    const options = { ...this.#options, responses, failed: () => {} };
    const guard = new Guard(this.#guest, this.#profile, options, rehearsed);
    guard.#regions = this.#regions;
    guard.#detectors = this.#detectors;
    return guard;
  }

  /** Forgets what was seen of the guest. */
  #refresh(depth?: LookDepth): void {
    this.#guest.refresh(depth);
    this.#profile.refresh?.();
  }

  /** One look at the guest by every rule at work. */
  #look(full: boolean): PassResult {
    this.#refresh(full ? "full" : "pass");
    const result = look(
      this.#guest,
      this.#detectors,
      this.#profile.symbols,
      full,
    );
    return { ...result, findings: this.#attribute(result.findings) };
  }

  /** What was so before the tables were watched does not tell how it came. */
  #attribute(findings: readonly Finding[]): readonly Finding[] {
    if (!this.#booted) return findings;
    const now = new Set(findings.map(({ key }) => key));
    this.#atArming = this.#atArming.intersection(now);
    return attributeMethods(findings, this.#sealed).map((finding) => {
      if (!this.#atArming.has(finding.key)) return finding;
      const { method: _, ...rest } = finding;
      return { ...rest, summary: `${rest.summary}, before xkmon armed` };
    });
  }

  /**
   * One pass: looks, and looks again before it believes what it found. With a
   * response that stops the guest, the second look is at the paused guest.
   */
  async pass(): Promise<void> {
    const notArmed = this.#booted && !this.#armingIsDue
      ? []
      : this.#armIfBooted();
    const full = this.#isFullDue();
    this.#passes++;
    const first = this.#look(full);
    this.#reports.unreadable([...notArmed, ...first.unreadable]);
    this.#reports.instrumentation(first.instrumentation);
    if (first.findings.length === 0) {
      this.#incidents.fromPass([]);
      return;
    }
    await this.#confirm(first.findings, full);
  }

  #isFullDue(): boolean {
    const now = performance.now();
    if (now - this.#lastFull < this.#options.fullPassInterval) return false;
    this.#lastFull = now;
    return true;
  }

  /**
   * Puts all rules to work once the kernel is up. One that cannot be read, for
   * a moment or for good, is told as that.
   */
  #armIfBooted(): Unreadable[] {
    try {
      this.#guest.refresh();
      if (this.#booted || this.#profile.booted(this.#guest)) this.arm();
      return this.#booted || this.#passes < BOOT_PASSES
        ? []
        : [tellBooting(rules.pageTables), tellBooting(rules.trapTable)];
    } catch (error) {
      const { symbols } = this.#profile;
      return [tellUnreadable(rules.pageTables, symbols, error)];
    }
  }

  async #confirm(first: readonly Finding[], full: boolean): Promise<void> {
    const { responses } = this.#options;
    const stopping = first.filter((finding) => responses.stops([finding]));
    if (this.#incidents.anyNew(stopping)) this.#holdToLook();
    // By place, not by key: new bytes at each look are no reason for doubt
    const places = new Set(first.map(placeOf));
    const second = this.#look(full).findings;
    // A paused guest does not change: what it shows needs no third look
    const confirmed = this.#guest.held
      ? second
      : second.filter((finding) => places.has(placeOf(finding)));
    const fresh = this.#incidents.fromPass(confirmed);
    if (fresh.length === 0) {
      this.#endVainHold();
      return;
    }
    this.#holdFor(fresh);
    this.#reports.found(fresh);
    const responding = this.#respond(fresh);
    // Evidence takes minutes, in which a guest that runs is looked at
    if (responses.stops(fresh)) await responding;
    else responding.catch(this.#options.failed);
  }

  /** Stops the guest if one of the findings does, else it runs on. */
  #holdFor(findings: readonly Finding[]): void {
    if (this.#options.responses.stops(findings)) this.#guest.hold();
    else this.#guest.endHold();
  }

  /**
   * Stops the guest because something came on its fault channel, until
   * `faults` has judged it: every microsecond is the attacker's.
   */
  hold(): void {
    if (!this.#stops) return;
    if (this.#detectors.length > 0) this.#holdToLook();
  }

  /**
   * Takes the fault records that the guest's handler wrote. What is there
   * before the guard is armed was not stopped by it and is not judged.
   *
   * @param page Copy of the granted page, 4096 bytes
   */
  async faults(page: Uint8Array): Promise<void> {
    const records = this.#profile.faultChannel?.decode(page, 0n) ?? [];
    const before = this.#lastFaults;
    // No highest sequence: a forged one would silence the true ones after it
    this.#lastFaults = new Set(records.map(({ sequence }) => sequence));
    if (this.#detectors.length === 0) return;
    // A guest that was stopped for a fault and faults again was let run
    const ran = this.#ran;
    const fresh = new Map<string, Finding>();
    for (const record of records) {
      if (before.has(record.sequence)) continue;
      const finding = judgeWriteFault(
        this.#guest,
        this.#profile.symbols,
        this.#regions,
        record,
      );
      if (finding === undefined) continue;
      if (this.#incidents.fromFault(finding, performance.now()) || ran) {
        fresh.set(finding.key, finding);
      }
    }
    if (fresh.size === 0) {
      this.#endVainHold();
      return;
    }
    const found = [...fresh.values()];
    this.#holdFor(found);
    this.#reports.stopped(found);
    // What else it did is there to see while it stands still; a guest that
    // runs on is looked at by the next pass, twice
    if (this.#options.responses.stops(found)) {
      this.#pauseForAttack(found);
      const { findings } = this.#look(false);
      const more = this.#incidents.fromPass(findings);
      this.#reports.found(more);
      found.push(...more);
    }
    await this.#respond(found);
  }

  /**
   * Takes a write that did not land. The guest's processor waits until this
   * returns, and the guest stands still if it is held then.
   */
  #stopped(write: StoppedWrite): void {
    try {
      this.#judgeWrite(write);
    } catch (error) {
      this.#options.failed(error);
    }
  }

  #judgeWrite(write: StoppedWrite): void {
    if (this.#detectors.length === 0) return;
    const ran = this.#ran;
    if (this.#stops) this.#holdToLook();
    const { symbols } = this.#profile;
    const finding = judgeStoppedWrite(
      this.#guest,
      symbols,
      this.#regions,
      write,
    );
    if (finding === undefined) {
      this.#endVainHold();
      return;
    }
    this.#tellStopped(finding, ran);
  }

  /**
   * Judges a register's change before it happens: one that is found is denied.
   * The guest's processor waits until this returns.
   */
  #mayChange(change: RegisterChange): boolean {
    // A kernel that boots sets them
    if (!this.#booted || this.#detectors.length === 0) return true;
    const { symbols, entryPoints } = this.#profile;
    const finding = judgeRegisterChange(symbols, entryPoints, change);
    if (finding === undefined) return true;
    try {
      const ran = this.#ran;
      if (this.#stops) this.#holdToLook();
      this.#tellStopped(finding, ran);
    } catch (error) {
      this.#options.failed(error);
    }
    return false;
  }

  /** Judges a write to code before it lands; what lands, the next pass judges. */
  #mayPatch(write: PlannedWrite): boolean {
    try {
      this.#refresh();
      return this.#detectors.every((detector) =>
        detector.mayPatch?.(write) ?? true
      );
    } catch (error) {
      // Who cannot tell must not keep a kernel from its work
      if (!(error instanceof UnreadableMemoryError)) {
        this.#options.failed(error);
      }
      return true;
    }
  }

  /** Judges the load of a descriptor table; the guest may not be paused. */
  #mayLoad(load: TableLoad): boolean {
    try {
      return this.#judgeLoad(load) === undefined;
    } catch (error) {
      this.#options.failed(error);
      return true;
    }
  }

  /** What cannot be told now, the next pass tells. */
  #judgeLoad(load: TableLoad): Finding | undefined {
    try {
      this.#refresh();
      for (const detector of this.#detectors) {
        const finding = detector.judgeLoad?.(load);
        if (finding !== undefined) return finding;
      }
    } catch (error) {
      if (!(error instanceof UnreadableMemoryError)) throw error;
    }
    return undefined;
  }

  /** Takes a load of a descriptor table that did not happen. */
  #denied(load: TableLoad): void {
    try {
      const finding = this.#judgeLoad(load);
      if (finding === undefined) return;
      const ran = this.#ran;
      if (this.#stops) this.#guest.hold();
      this.#tellStopped(finding, ran);
    } catch (error) {
      this.#options.failed(error);
    }
  }

  /**
   * Looks where a register leads that was loaded with nobody knows what. A
   * guest that does so all the time waits for the next pass like any other.
   */
  #loadedUnread(): void {
    if (!this.#booted || this.#detectors.length === 0) return;
    if (!this.#extraPasses.take(performance.now())) return;
    this.pass().catch(this.#options.failed);
  }

  /** @param ran Whether the guest was let run since the last attack */
  #tellStopped(finding: Finding, ran: boolean): void {
    const isFresh = this.#incidents.fromFault(finding, performance.now());
    if (!isFresh && !ran) {
      this.#endVainHold();
      return;
    }
    this.#holdFor([finding]);
    this.#reports.stopped([finding]);
    this.#respond([finding]).catch(this.#options.failed);
  }

  async #respond(findings: readonly Finding[]): Promise<void> {
    const { responses } = this.#options;
    const stops = responses.stops(findings);
    if (stops) this.#pauseForAttack(findings);
    this.#responding++;
    try {
      await this.#responder.respond(findings);
    } finally {
      this.#responding--;
    }
    // What could not be put right waits for the operator
    if (stops && this.#guest.pausedForAttack) this.#mustStay = true;
  }

  /** Stops the guest; a pause that was there already is not ours to end. */
  #pauseForAttack(findings: readonly Finding[]): void {
    const { response } = this.#options.responses.strongest(findings);
    if (!this.#guest.pausedForAttack) this.#mustStay = false;
    else if (!this.#leftPaused) this.#mustStay = true;
    if (response !== "restore") this.#mustStay = true;
    this.#guest.pauseForAttack();
    this.#leftPaused = true;
  }

  /** Puts the guest right; says what, or why it is not as it was. */
  #restore(): readonly Finding[] | string {
    if (this.#detectors.length === 0) return "guarding has ended";
    if (this.#mustStay) return "another attack has it paused";
    if (this.#responding > 1) return "evidence of another attack is being kept";
    const { responses } = this.#options;
    const restored = restoreFindings(this.#guest, this.#detectors, () => {
      const { findings, unreadable } = this.#look(true);
      return {
        findings: findings.filter(({ rule }) =>
          responses.of(rule).response === "restore"
        ),
        unreadable,
      };
    });
    if (typeof restored === "string") return restored;
    // What comes back is new
    this.#incidents.close(restored);
    this.#leftPaused = false;
    return restored;
  }

  /**
   * Takes the protection off; the guest is as it was. If something failed
   * while it was held, it runs on.
   *
   * @returns What was undone, in words, if anything was
   */
  disarm(): string | undefined {
    this.#detectors = [];
    let undone: string | undefined;
    try {
      this.#guest.endHold();
    } finally {
      undone = this.#guest.unprotect();
    }
    return undone;
  }
}

/**
 * What a finding is about, whatever it shows there. Code has many places, and
 * a kernel that changes itself may show something at each of two others.
 */
function placeOf({ rule, what, seen, address }: Finding): string {
  return seen === "compare"
    ? `${rule.id} ${what} ${address / PLACE_SIZE}`
    : `${rule.id} ${what}`;
}
