import { Guard, type GuardedGuest } from "../detect/guard.ts";
import { ResponseLimits } from "../detect/response_limits.ts";
import type { CpuState } from "../guestos/cpu_state.ts";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { ProfileError } from "../guestos/profile_error.ts";
import type { DomainGuest } from "../xen/domain_guest.ts";
import { type Domain, domainById } from "../xen/domains.ts";
import { EventLoop } from "../xen/event_loop.ts";
import { FaultEvents } from "../xen/fault_events.ts";
import { XenHost } from "../xen/host.ts";
import { Journal } from "../xen/journal.ts";
import { Lifecycle } from "../xen/lifecycle.ts";
import { openGuest } from "../xen/open_guest.ts";
import { findKernel } from "../xen/recorded_kernel.ts";
import { saysGone } from "../xen/says_gone.ts";
import { collectGarbage } from "./collect_garbage.ts";
import { evidenceSource } from "./evidence/evidence_source.ts";
import { keepEvidence } from "./evidence/keep_evidence.ts";
import { GuardianProcess } from "./guardian_process.ts";
import {
  type LoadedKernel,
  type LoadedProfile,
  loadKernel,
  openProfile,
} from "./load_profile.ts";
import { openLog } from "./log.ts";
import type { Options } from "./options.ts";
import { Output } from "./output.ts";
import { Sleeper } from "./sleeper.ts";
import type { StopSignals } from "./stop_signals.ts";
import { UsageError } from "./usage_error.ts";

/** From one pass to the next while the kernel boots, ms */
const BOOT_INTERVAL = 50;
/**
 * Rest after a pass, in times of its own length: a guest that makes passes long
 * must not get all of a processor that Dom0 shares with it and its neighbours
 */
const REST = 1;
/** Nor may it make itself be looked at rarely, ms */
const MAX_REST = 5000;
/** Passes are at most this far from a full one, ms */
const FULL_PASS_INTERVAL = 60_000;
/** How long a kernel may take to come up where its profile needs that, ms */
const PROFILE_LIMIT = 30_000;
/** The same for a guest that was just started */
const START_LIMIT = 300_000;
/** From one attempt to make the profile to the next, ms */
const PROFILE_INTERVAL = 250;
/** How long a guest that reboots may take to come back, ms */
const REBOOT_LIMIT = 60_000;

/** How long a guest may take to do what it is asked to, ms */
const REQUEST_LIMIT = 60_000;

/** How long a guest that came back may hide its kernel's pages, ms */
const ARM_LIMIT = 10_000;

/** Why a guest stopped that its toolstack mostly starts again */
const COMES_BACK = ["reboot", "crash", "watchdog"];

/** What ended the guarding of one domain. */
type Ending = "stopped" | { readonly reason: string };

/** Finds the guest that the operator means. */
export type FindGuest = (host: XenHost) => Domain;

/** What lasts as long as the monitor does. */
interface Session {
  readonly options: Options;
  readonly host: XenHost;
  readonly loop: EventLoop;
  readonly lifecycle: Lifecycle;
  readonly output: Output;
  readonly limits: ResponseLimits;
  /** Undoes what is done to the guest if this process is killed */
  readonly guardian: GuardianProcess | undefined;
  /** The operator wants an end, or something failed */
  readonly stop: AbortSignal;
  /** Ends the monitor in good order, then fails with the error */
  readonly fail: (error: unknown) => void;
}

/**
 * Guards a guest until it is gone for good or the operator ends it.
 *
 * @param stop Ends it in good order
 * @param armed Called once, when the guest is armed for the first time, or
 *   waits to be: its kernel must run before its profile can be made
 * @returns Exit status
 */
export async function monitor(
  options: Options,
  find: FindGuest,
  stop: StopSignals,
  armed: (host: XenHost, domain: Domain) => void = () => {},
): Promise<number> {
  const failures: unknown[] = [];
  const fail = (error: unknown) => {
    failures.push(error);
    stop.stop();
  };
  let guarding = false;
  await using _log = await openLog(options.log, (error) => {
    // Who can fill the disk must not get rid of the monitor
    if (guarding) console.error(`xkmon: ${error.message}; guarding goes on`);
    else fail(error);
  });
  await using guardian = options.failClosed ? undefined : new GuardianProcess(
    () =>
      console.error(
        "xkmon: the guardian died; another one has taken its place",
      ),
    fail,
  );
  using host = new XenHost();
  using loop = new EventLoop(host.libraries);
  loop.add(host.store.fd, () => host.store.dispatch());
  loop.run().catch(fail);
  const output = new Output(options.json);
  try {
    using lifecycle = new Lifecycle(host);
    const session = {
      options,
      host,
      loop,
      lifecycle,
      output,
      limits: new ResponseLimits(),
      guardian,
      stop: stop.signal,
      fail,
    };
    await guardUntilGone(session, find(host), (host, domain) => {
      guarding = true;
      armed(host, domain);
    });
  } finally {
    await loop.stop();
  }
  if (failures.length > 0) throw failures[0];
  return 0;
}

/** Guards a guest through its suspensions and reboots. */
async function guardUntilGone(
  session: Session,
  first: Domain,
  armed: (host: XenHost, domain: Domain) => void,
): Promise<void> {
  const { options, host, lifecycle, output, stop } = session;
  let domain = first;
  let isFirst = true;
  const onArmed = () => {
    if (isFirst) armed(host, domain);
    isFirst = false;
  };
  let patience = 0;
  for (;;) {
    const ending = await guardDomain(session, domain, onArmed, patience);
    collectGarbage();
    isFirst = false;
    patience = ARM_LIMIT;
    if (ending === "stopped") return;
    const notice = (text: string) =>
      output.print(domain, { type: "notice", text });
    let { reason } = ending;
    if (reason === "suspend") {
      notice("guest is suspended, and not guarded while it is saved");
      const resumed = await lifecycle.resumed(domain, stop);
      if (resumed === undefined) return;
      if (resumed) continue;
      reason = "saved or migrated";
    }
    notice(`guest is gone: ${reason}`);
    const comesBack = COMES_BACK.includes(reason);
    if (!options.wait && !comesBack) return;
    const limit = options.wait
      ? stop
      : AbortSignal.any([stop, AbortSignal.timeout(REBOOT_LIMIT)]);
    const next = await lifecycle.successor(domain, limit);
    if (stop.aborted) return;
    if (next === undefined) {
      notice(`guest did not come back within ${REBOOT_LIMIT / 1000} s`);
      return;
    }
    domain = next;
  }
}

async function guardDomain(
  session: Session,
  domain: Domain,
  armed: () => void,
  patience: number,
): Promise<Ending> {
  try {
    return await guardLiving(session, domain, armed, patience);
  } catch (error) {
    // What the operator must put right does not depend on the guest's life
    if (error instanceof UsageError) throw error;
    const reason = session.lifecycle.endOf(domain);
    if (reason === undefined) throw error;
    // It died while it was looked at
    return { reason };
  }
}

async function guardLiving(
  session: Session,
  domain: Domain,
  armed: () => void,
  patience: number,
): Promise<Ending> {
  const { options, host, loop, lifecycle, output, stop, fail } = session;
  const { limits, guardian } = session;
  const isNew = options.command === "start" && patience === 0;
  // It starts meanwhile
  await guardian?.guard(domain.id, isNew);
  const end = performance.now() + patience;
  // A toolstack makes a guest paused, and lets it run once it is made
  const isBeingMade = () =>
    performance.now() < end && !stop.aborted &&
    domainById(host.control, host.store, domain.id)?.paused === true;
  const recorded = () => findKernel(host.store, domain, isBeingMade);
  // Given up once the profile is made: it is as large as all that stays
  let loaded: LoadedKernel | undefined = await loadKernel(recorded, options);
  const file = loaded.kernel &&
    { path: loaded.kernel.path, sha256: loaded.kernel.sha256 };
  using journal = await Journal.take(domain.id);
  using guest = openGuest(host, domain, journal, loop);
  const left = guest.recover(false);
  if (left !== undefined) {
    output.print(domain, {
      type: "notice",
      text: `an earlier monitor left something behind: ${left}`,
    });
  } else if (domain.paused && patience === 0 && !isNew) {
    output.print(domain, {
      type: "notice",
      text: `${domain.name} is paused; to let it run: xl unpause ${domain.id}`,
    });
  }
  const reason = lifecycle.endOf(domain);
  if (reason !== undefined) return { reason };
  const notice = (text: string) =>
    output.print(domain, { type: "notice", text });
  loaded.notices.forEach(notice);
  const opened = await openWithin(
    guest,
    loaded,
    options,
    // A kernel that died as it booted comes up no more
    () => lifecycle.endOf(domain) !== undefined,
    patience > 0 || options.command === "start"
      ? START_LIMIT
      : domain.paused
      ? 0
      : PROFILE_LIMIT,
    stop,
    () => {
      notice("waits for the guest's kernel to come up");
      // Its profile is made from a kernel that runs
      armed();
    },
  );
  loaded = undefined;
  if (opened === undefined) return "stopped";
  collectGarbage();
  const { profile } = opened;
  opened.notices.forEach(notice);
  // Its death is told by Xen; what notices it earlier need not say so
  const unlessGone = (error: unknown) => {
    if (!saysGone(error)) fail(error);
  };
  const guard = new Guard(
    guest satisfies GuardedGuest,
    profile,
    {
      responses: options.responses,
      limits,
      ...(options.responses.mayDump
        ? {
          keepEvidence: (incident) =>
            keepEvidence(
              evidenceSource(host, guest, profile.symbols, file, stop),
              incident,
              options.evidence,
            ),
        }
        : {}),
      rungs: options.rungs,
      fullPassInterval: FULL_PASS_INTERVAL,
      rehearsed: (event) => output.rehearse(domain, event),
      failed: unlessGone,
    },
    (event) => output.print(domain, event),
  );
  const ended = new AbortController();
  const signal = AbortSignal.any([stop, ended.signal]);
  let gone: string | undefined;
  let isArmed = false;
  // Until all is undone
  using watched = new DisposableStack();
  try {
    // Before the guard arms: it must know which faults are old
    using faults = profile.faultChannel && new FaultEvents(
      host,
      loop,
      domain.id,
      {
        ref: profile.faultChannel.refNode,
        port: profile.faultChannel.portNode,
      },
      () => {
        try {
          guard.hold();
        } catch (error) {
          unlessGone(error);
        }
      },
      (page) => void guard.faults(page).catch(unlessGone),
      (bound) =>
        output.print(domain, {
          type: "notice",
          text: bound
            ? "the guest announces stopped writes on its fault channel"
            : "the guest's fault channel is gone: stopped writes are not told",
        }),
    );
    // The log may have failed by now: then the guest is left alone
    if (stop.aborted) return "stopped";
    await guardian?.ready();
    if (guardian !== undefined) watched.use(guardian.watch());
    await armWithin(guard, patience, stop);
    isArmed = true;
    const silent = profile.protectable && faults?.bound !== true;
    if (guard.booted && silent) {
      output.print(domain, {
        type: "notice",
        text: "the guest has no fault channel: stopped writes are not told",
      });
    }
    if (!stop.aborted) armed();
    const works = Promise.all([
      runPasses(guard, options.interval, signal),
      // Of others no page is locked
      ...(domain.type === "PV"
        ? [yieldLocks(guard, lifecycle, domain, notice, signal)]
        : []),
    ]).then(() => undefined);
    gone = await Promise.race([lifecycle.ended(domain, stop), works]);
    ended.abort();
    await works;
  } catch (error) {
    if (!saysGone(error)) throw error;
    gone = await lifecycle.ended(domain, stop) ?? "destroyed";
  } finally {
    ended.abort();
    // A suspended guest may run on, here or elsewhere: it goes as it came
    if (isDead(gone)) journal.clear();
    else {
      undo(session, domain, journal, () => {
        if (isArmed) disarm(guard, guest, output, gone === undefined);
        else guard.disarm();
      });
    }
  }
  return gone === undefined ? "stopped" : { reason: gone };
}

/**
 * Makes the profile of a kernel, which may have to come up for that.
 *
 * @param loaded What is known of it
 * @param inVain Whether there is nothing to wait for
 * @param patience How long the kernel may take, ms
 * @param waits Called once, if it has to be waited for
 * @returns `undefined` if the operator wants an end first
 */
async function openWithin(
  guest: DomainGuest<CpuState>,
  loaded: LoadedKernel,
  options: Options,
  inVain: () => boolean,
  patience: number,
  stop: AbortSignal,
  waits: () => void,
): Promise<LoadedProfile | undefined> {
  using sleeper = new Sleeper(stop);
  const end = performance.now() + patience;
  for (let tries = 0; !stop.aborted; tries++) {
    try {
      guest.refresh();
      return openProfile(loaded, guest, options);
    } catch (error) {
      const isBooting = error instanceof UnreadableMemoryError ||
        error instanceof ProfileError && error.isBooting;
      if (!isBooting || performance.now() > end || inVain()) throw error;
    }
    collectGarbage();
    if (tries === 0) waits();
    await sleeper.sleep(PROFILE_INTERVAL);
  }
  return undefined;
}

/** Arms; a guest that is coming up may hide its pages for a while. */
async function armWithin(
  guard: Guard,
  patience: number,
  stop: AbortSignal,
): Promise<void> {
  using sleeper = new Sleeper(stop);
  const end = performance.now() + patience;
  for (;;) {
    try {
      guard.arm();
      return;
    } catch (error) {
      const unreadable = error instanceof UnreadableMemoryError;
      if (!unreadable || performance.now() > end || stop.aborted) throw error;
    }
    await sleeper.sleep(BOOT_INTERVAL);
  }
}

/**
 * Takes locks off whenever the toolstack asks something of the guest, which
 * learns of it then, for as long as the guest may take; until the signal.
 */
async function yieldLocks(
  guard: Guard,
  lifecycle: Lifecycle,
  domain: Domain,
  notice: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  using sleeper = new Sleeper(signal);
  for (;;) {
    const request = await lifecycle.asked(domain, signal);
    if (request === undefined) return;
    if (await guard.suspendLocks()) {
      notice(`guest is asked to ${request}: no page is locked until then`);
    }
    await sleeper.sleep(REQUEST_LIMIT);
    // A guest that has not even taken note of it may do so at any time
    const isAsked = lifecycle.request(domain) !== undefined;
    if (!signal.aborted && !isAsked) await guard.resumeLocks();
  }
}

/** Passes until the signal. */
async function runPasses(
  guard: Guard,
  interval: number,
  signal: AbortSignal,
): Promise<void> {
  using sleeper = new Sleeper(signal);
  while (!signal.aborted) {
    const start = performance.now();
    await guard.pass();
    const rest = REST * (performance.now() - start);
    const pause = guard.booted ? interval : BOOT_INTERVAL;
    await sleeper.sleep(Math.max(pause, Math.min(rest, MAX_REST)));
  }
}

/** Whether what `Lifecycle.endOf` says is the end of a guest for good. */
function isDead(reason: string | undefined): boolean {
  return reason !== undefined && reason !== "suspend";
}

/** Undoes what was done to a guest, unless it has died meanwhile. */
function undo(
  { lifecycle }: Session,
  domain: Domain,
  journal: Journal,
  disarm: () => void,
): void {
  try {
    disarm();
  } catch (error) {
    if (!isDead(lifecycle.endOf(domain)) && !saysGone(error)) throw error;
    journal.clear();
  }
}

function disarm(
  guard: Guard,
  guest: DomainGuest<CpuState>,
  output: Output,
  runs: boolean,
): void {
  const undone = guard.disarm();
  const { id, name } = guest.domain;
  const stuck = guest.stuck === 0
    ? ""
    : `; ${guest.stuck} stay read-only, since Xen refuses to change them`;
  const rest = guest.pausedForAttack
    ? `; ${name} stays paused because of the attack, to let it run: xl unpause ${id}`
    : runs
    ? `; ${name} runs on`
    : "";
  output.print(guest.domain, {
    type: "notice",
    text: (undone === undefined
      ? `guarding has ended after ${guard.passes} passes`
      : `protection is off, ${undone}`) +
      `${stuck}${rest}`,
  });
}
