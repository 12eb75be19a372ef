import { cpuTime } from "../xen/cpu_time.ts";
import { NoSuchDomainError } from "../xen/errors.ts";
import { domainById } from "../xen/domains.ts";
import { XenHost } from "../xen/host.ts";
import { AlreadyGuardedError, Journal } from "../xen/journal.ts";
import { killProcess } from "../xen/kill_process.ts";
import { openGuest } from "../xen/open_guest.ts";
import { destroyGuest } from "../xen/xl.ts";
import { explain } from "./explain.ts";
import { AT_WORK, NEW, READY } from "./guardian_process.ts";
import { StopSignals } from "./stop_signals.ts";
import { Watchdog } from "./watchdog.ts";

/** How long it is tried to undo what a killed monitor did, ms */
const LIMIT = 5000;
const INTERVAL = 20;

/**
 * The second process of a monitor: waits until the monitor is gone, and undoes
 * what it did to its guest if it went without doing so itself. Standard input
 * tells of another guest, a line each, and between these that the monitor is at
 * work: once it has said so, it is killed if it hangs. The end of standard input
 * is that of the monitor, whatever ended it.
 *
 * @param word Which guest that is at first, as in such a line
 * @returns Exit status
 */
export async function guardian(word = ""): Promise<number> {
  // They are sent to the monitor as well, which ends in good order
  using _signals = new StopSignals();
  const monitor = Deno.ppid;
  using host = openHost();
  if (host === undefined) return 2;
  console.log(READY);
  const watchdog = new Watchdog(
    () => cpuTime(host.libraries, monitor),
    (silence) => {
      // Orphans get another parent
      if (Deno.ppid !== monitor) return;
      const time = `${silence / 1000} s`;
      console.error(`xkmon: the monitor hung for ${time}, and is killed`);
      killProcess(host.libraries, monitor);
    },
  );
  const guarded = await lastGuarded(word, watchdog);
  if (guarded === undefined) return 0;
  const { id, isNew } = guarded;
  // Before anything is undone: that may let it run
  const isUnused = isNew && neverRan(host, id);
  const end = performance.now() + LIMIT;
  for (;;) {
    try {
      await undo(host, id, isUnused);
      return 0;
    } catch (error) {
      if (error instanceof NoSuchDomainError) return 0;
      // Linux gives back what a dead process had in no certain order
      if (performance.now() > end) {
        // The next monitor does it as well
        if (error instanceof AlreadyGuardedError) return 0;
        throw error;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}

/** What is wrong is told to the monitor, which tells it to the operator. */
function openHost(): XenHost | undefined {
  try {
    return new XenHost();
  } catch (error) {
    console.log(explain(error));
    return undefined;
  }
}

/**
 * Reads what the monitor says until it is gone.
 *
 * @param watchdog Gets its signs while its guest may wait for it, until it is
 *   gone
 * @returns The domain that it guarded then, if there is one, and whether it had
 *   made it
 */
async function lastGuarded(
  word: string,
  watchdog: Watchdog,
): Promise<{ id: number; isNew: boolean } | undefined> {
  using _watching = watchdog;
  let guarded = word;
  let rest = "";
  const input = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  for await (const chunk of input) {
    const lines = (rest + chunk).split("\n");
    // The monitor may have been killed within a line
    rest = lines.pop()!;
    for (const line of lines) {
      if (line === AT_WORK) watchdog.sign();
      else {
        watchdog.rest();
        guarded = line;
      }
    }
  }
  const isNew = guarded.endsWith(NEW);
  const id = parseInt(guarded);
  return Number.isInteger(id) ? { id, isNew } : undefined;
}

/** Whether a guest still is as the toolstack has made it. */
function neverRan({ control, store }: XenHost, id: number): boolean {
  const domain = domainById(control, store, id);
  return domain !== undefined && domain.paused && domain.cpuTime === 0n;
}

/** @param destroy What never ran does not stay paused: it is destroyed */
async function undo(
  host: XenHost,
  id: number,
  destroy: boolean,
): Promise<void> {
  const domain = domainById(host.control, host.store, id);
  if (domain === undefined) return;
  const tell = (text: string) =>
    console.error(`xkmon: the monitor of ${domain.name} was killed: ${text}`);
  // Kept from other monitors until all is done
  using journal = new Journal(id);
  {
    using guest = openGuest(host, domain, journal);
    const undone = guest.recover(false);
    if (undone !== undefined && !destroy) tell(undone);
  }
  if (!destroy) return;
  tell("its guest, which never ran, is destroyed");
  await destroyGuest(String(id));
}
