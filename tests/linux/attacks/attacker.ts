import type { Job, Lab } from "../../lab/mod.ts";
import type { Answer } from "./answer.ts";
import { KERNEL, MUTATE } from "./attack_lab.ts";

/** It has to read the kernel first, ms; in the emulator that takes its time. */
const LIMIT = 600_000;

/** The program in Dom0 that attacks a guest when it is told to. */
export class Attacker implements AsyncDisposable {
  #lab: Lab;
  #job: Job;
  #answers: AsyncGenerator<string>;
  #fifo: string;

  private constructor(lab: Lab, job: Job, fifo: string) {
    this.#lab = lab;
    this.#job = job;
    this.#answers = job.lines("stdout", LIMIT);
    this.#fifo = fifo;
  }

  /**
   * Starts it; it changes nothing yet.
   *
   * @param lab has the programs of `attackLab`.
   * @param name the guest's, which must be up.
   * @param options more for its command line: `--plan`.
   */
  static async start(
    lab: Lab,
    name: string,
    options = "",
  ): Promise<Attacker> {
    const fifo = `/run/mutate-${name}`;
    await lab.run(`rm -f ${fifo}; mkfifo ${fifo}`);
    const job = await lab.spawn(
      // Opened for both ways it has no end between two lines
      `exec ${MUTATE} --dom ${name} --kernel ${KERNEL} ${options} <>${fifo}`,
    );
    const attacker = new Attacker(lab, job, fifo);
    await attacker.#answer();
    return attacker;
  }

  async #answer(): Promise<Answer> {
    const { value, done } = await this.#answers.next();
    if (done) {
      throw new Error(
        `the attacker has ended: ${await this.#job.text("stderr")}`,
      );
    }
    const answer: Answer = JSON.parse(value);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  /**
   * Has it do something.
   *
   * @param command name of an attack, or `undo`.
   * @throws {Error} if it cannot.
   */
  async command(command: string): Promise<Answer> {
    await this.#lab.run(`echo ${command} >${this.#fifo}`);
    return await this.#answer();
  }

  /** Ends it; what it changed stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#job.code === undefined) await this.#job.signal("SIGKILL");
  }
}
