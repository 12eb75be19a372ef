import { buildInfo } from "../build_info.ts";

/** What a guardian prints once it could undo something */
export const READY = "ready";
/** Tells a guardian which domain its monitor guards from now on */
export const GUARDED = "guard";
/** Tells a guardian that its monitor has undone all by itself */
export const RELIEVED = "end";

/** From one start of a guardian to the next at least, ms */
const START_INTERVAL = 1000;

/**
 * A monitor's hold on its guardian: this program once more, which undoes what
 * the monitor did to its guest if that dies in any way.
 */
export class GuardianProcess implements AsyncDisposable {
  readonly #replaced: () => void;
  readonly #failed: (error: unknown) => void;
  #child: Deno.ChildProcess;
  #input: WritableStreamDefaultWriter<Uint8Array>;
  #ready: Promise<void>;
  /** The last word to it: its successor gets it, too */
  #order = "";
  #startedAt = 0;
  #ends = false;

  /**
   * Starts the guardian. This must come before anything is opened that it
   * should not have open as well.
   *
   * @param replaced Told if it died and another one has taken its place
   * @param failed Gets the error if there is no guardian any more
   * @throws {Error} If no process can be started
   */
  constructor(replaced: () => void, failed: (error: unknown) => void) {
    this.#replaced = replaced;
    this.#failed = failed;
    [this.#child, this.#input, this.#ready] = this.#start();
  }

  #start(): [
    Deno.ChildProcess,
    WritableStreamDefaultWriter<Uint8Array>,
    Promise<void>,
  ] {
    const child = new Deno.Command("/proc/self/exe", {
      args: [...buildInfo.options, ...script(), "guardian"],
      stdin: "piped",
      stdout: "piped",
      // What kills a whole group of processes shall not get both
      detached: true,
    }).spawn();
    this.#startedAt = performance.now();
    child.status.then(() => this.#replace());
    const ready = isReady(child.stdout);
    // Whoever waits for it gets its failure
    ready.catch(() => {});
    return [child, child.stdin.getWriter(), ready];
  }

  async #replace(): Promise<void> {
    const early = this.#startedAt + START_INTERVAL - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    if (this.#ends) return;
    try {
      [this.#child, this.#input, this.#ready] = this.#start();
      await this.#tell(this.#order);
      await this.#ready;
      this.#replaced();
    } catch (error) {
      if (!this.#ends) this.#failed(error);
    }
  }

  async #tell(order: string): Promise<void> {
    this.#order = order;
    try {
      await this.#input.write(new TextEncoder().encode(`${order}\n`));
    } catch {
      // It is dead: its successor gets the word
    }
  }

  /**
   * Names the domain that is guarded from now on. Only then may anything be done
   * to it.
   *
   * @param domain Domain id
   * @throws {Error} If there is no guardian
   */
  async guard(domain: number): Promise<void> {
    await this.#tell(`${GUARDED} ${domain}`);
    await this.#ready;
  }

  /** Ends it: there is nothing left for it to undo. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ends = true;
    await this.#tell(RELIEVED);
    await this.#input.close().catch(() => {});
    await this.#child.status;
  }
}

/** The script that the runtime runs, if it is not part of the executable. */
function script(): string[] {
  return buildInfo.method === "compile"
    ? []
    : [decodeURIComponent(new URL(Deno.mainModule).pathname)];
}

async function isReady(output: ReadableStream<Uint8Array>): Promise<void> {
  let text = "";
  for await (const chunk of output.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes(`${READY}\n`)) return;
  }
  throw new Error(
    "the guardian does not start; --fail-closed does without one",
  );
}
