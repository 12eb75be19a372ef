import { buildInfo } from "../build_info.ts";

/** What a guardian prints once it could undo something */
export const READY = "ready";
/** What follows the number of a domain that its monitor has made */
export const NEW = " new";
/** A line that says that the monitor, whose guest may wait for it, is at work */
export const AT_WORK = "at work";
/** From one of these to the next, ms */
const SIGN_INTERVAL = 2000;
/** From one start of a guardian to the next at least, ms */
const START_INTERVAL = 1000;

/** A guardian that runs. */
interface Running {
  readonly process: Deno.ChildProcess;
  readonly input: WritableStreamDefaultWriter<Uint8Array>;
  readonly ready: Promise<void>;
}

/**
 * A monitor's hold on its guardian: this program once more, which undoes what
 * the monitor did to its guest if that dies in any way.
 */
export class GuardianProcess implements AsyncDisposable {
  readonly #replaced: () => void;
  readonly #failed: (error: unknown) => void;
  #running: Running | undefined;
  /** What it was told last, which a successor has to know as well */
  #word = "";
  #ends = false;

  /**
   * @param replaced Told if it died and another one has taken its place
   * @param failed Gets the error if there is no guardian any more
   */
  constructor(replaced: () => void, failed: (error: unknown) => void) {
    this.#replaced = replaced;
    this.#failed = failed;
  }

  #start(word: string): Running {
    const process = new Deno.Command("/proc/self/exe", {
      // It knows at once, however soon this process is killed
      args: [...runtimeArguments(), "guardian", word],
      stdin: "piped",
      stdout: "piped",
      // What kills a whole group of processes shall not get both
      detached: true,
    }).spawn();
    const running = {
      process,
      input: process.stdin.getWriter(),
      ready: isReady(process.stdout),
    };
    // Whoever waits for it gets its failure
    running.ready.catch(() => {});
    const startedAt = performance.now();
    process.status.then(() => this.#replace(startedAt));
    return running;
  }

  async #replace(startedAt: number): Promise<void> {
    const early = startedAt + START_INTERVAL - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    if (this.#ends) return;
    try {
      this.#running = this.#start(this.#word);
      await this.ready();
      this.#replaced();
    } catch (error) {
      if (!this.#ends) this.#failed(error);
    }
  }

  /**
   * Names the domain that is guarded from now on. The guardian is started at
   * the first time, and will know the domain.
   *
   * @param domain Domain id
   * @param isNew Whether this process has made it: nothing is lost if it is
   *   destroyed before it ran
   */
  async guard(domain: number, isNew: boolean): Promise<void> {
    this.#word = `${domain}${isNew ? NEW : ""}`;
    if (this.#running === undefined) this.#running = this.#start(this.#word);
    else await this.#tell(this.#word);
  }

  async #tell(line: string): Promise<void> {
    try {
      await this.#running?.input.write(new TextEncoder().encode(`${line}\n`));
    } catch {
      // It is dead: its successor gets the word, and the next sign
    }
  }

  /**
   * Has this process killed if it hangs, from now on until what is returned is
   * disposed: while its guest may have to wait for it.
   */
  watch(): Disposable {
    const sign = () => void this.#tell(AT_WORK);
    sign();
    const timer = setInterval(sign, SIGN_INTERVAL);
    return {
      [Symbol.dispose]: () => {
        clearInterval(timer);
        void this.#tell(this.#word);
      },
    };
  }

  /**
   * Waits until the guardian can undo something.
   *
   * @throws {Error} If there is no guardian
   */
  async ready(): Promise<void> {
    await this.#running?.ready;
  }

  /** Ends it: there is nothing left for it to undo. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ends = true;
    const { process } = this.#running ?? {};
    try {
      process?.kill("SIGKILL");
    } catch {
      // It is dead already
    }
    await process?.status;
  }
}

/** What the runtime has to be told, if it is not part of the executable. */
function runtimeArguments(): string[] {
  return buildInfo.method === "source"
    ? [
      ...["run", "--quiet", "--no-prompt"],
      ...["--allow-ffi", "--allow-read", "--allow-write"],
      "--allow-sys=uid,statfs",
      "--allow-run=xl",
      decodeURIComponent(new URL(Deno.mainModule).pathname),
    ]
    : [];
}

async function isReady(output: ReadableStream<Uint8Array>): Promise<void> {
  let text = "";
  for await (const chunk of output.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text === `${READY}\n`) return;
  }
  throw new Error(
    `the guardian does not start (${text.trim() || "it was killed"}); ` +
      "--fail-closed does without one",
  );
}
