import { getLogger } from "@logtape/logtape";
import type { EventBody, MonitorEvent } from "../detect/event.ts";
import type { GuestDomain } from "../detect/guest.ts";
import { renderJson } from "./render_json.ts";
import { renderText } from "./render_text.ts";

const logger = getLogger(["xkmon"]);

/** Prints events of guests to standard output, as JSON or for people, and logs them. */
export class Output {
  #json: boolean;
  #color: boolean;

  constructor(json: boolean) {
    this.#json = json;
    this.#color = !json && Deno.stdout.isTerminal() && !Deno.noColor;
  }

  /**
   * Prints one event with the time of now.
   *
   * @throws {Error} If standard output is gone or full
   */
  print(domain: GuestDomain, body: EventBody): void {
    const event = withTime(domain, body);
    const [printed, logged] = this.#texts(event);
    this.write(printed);
    const level = event.type === "finding" || event.type === "unreadable"
      ? "warn"
      : "info";
    logger[level]("{event}", { event: logged });
  }

  /** Makes the texts of an event, which nobody gets: the next ones are made faster. */
  rehearse(domain: GuestDomain, body: EventBody): void {
    this.#texts(withTime(domain, body));
  }

  /** What is printed, and what is logged. */
  #texts(event: MonitorEvent): readonly [string, string] {
    const plain = renderText(event, false);
    if (this.#json) return [renderJson(event), plain];
    return [this.#color ? renderText(event, true) : plain, plain];
  }

  /** Prints a line as it is. */
  write(line: string): void {
    const bytes = new TextEncoder().encode(line + "\n");
    for (let at = 0; at < bytes.length;) {
      at += Deno.stdout.writeSync(bytes.subarray(at));
    }
  }
}

function withTime(
  { id, name, uuid }: GuestDomain,
  body: EventBody,
): MonitorEvent {
  return {
    time: new Date(),
    domain: { id, name, uuid },
    ...body,
  } as MonitorEvent;
}
