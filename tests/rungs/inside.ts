import { type CpioEntry, file } from "../lab/cpio_entry.ts";
import type { Guest, Lab } from "../lab/mod.ts";
import { TELL_TIME, toldTime } from "../support/told_time.ts";

/** In the emulator all takes its time, ms. */
const LIMIT = 240_000;

/** Gives an order and tells what came of it. Arguments: its number, itself. */
const SCRIPT = `#!/bin/sh
order=/sys/module/inside/parameters/order
number=$1
shift
echo "$*" >$order
echo "order $number: $(cat $order)"
`;

/** What came of an order. */
export interface Done {
  /** When it was given, by Dom0's clock, ms since 1970 */
  readonly time: number;
  readonly result: "landed" | "refused" | "dropped";
}

/** The module inside a Linux guest that attacks it. */
export class Inside {
  #lab: Lab;
  #guest: Guest;
  #terminal: string;
  #orders = 0;

  private constructor(lab: Lab, guest: Guest, terminal: string) {
    this.#lab = lab;
    this.#guest = guest;
    this.#terminal = terminal;
  }

  /** Files that a guest needs for it, which loads all modules at its root. */
  static async files(module: string): Promise<CpioEntry[]> {
    return [
      file("inside.ko", await Deno.readFile(module)),
      file("usr/bin/inside", SCRIPT, 0o755),
    ];
  }

  /** Opens that of a guest, which must be up. */
  static async open(lab: Lab, guest: Guest): Promise<Inside> {
    const terminal = await guest.xenstoreRead("console/tty");
    if (terminal === undefined) throw new Error("the guest has no console");
    return new Inside(lab, guest, terminal);
  }

  /**
   * Gives an order.
   *
   * @throws {Error} if the guest does not understand it or does not answer.
   */
  async order(order: string): Promise<Done> {
    const number = ++this.#orders;
    const { stdout } = await this.#lab.run(
      `${TELL_TIME}; echo 'inside ${number} ${order}' >${this.#terminal}`,
    );
    const [, result] = await this.#guest.waitForConsole(
      new RegExp(`order ${number}: (\\w+)`),
      LIMIT,
    );
    if (
      result !== "landed" && result !== "refused" && result !== "dropped"
    ) {
      throw new Error(`the guest does not take "${order}"`);
    }
    return { time: toldTime(stdout), result };
  }
}
