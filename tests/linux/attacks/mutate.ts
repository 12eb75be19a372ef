/**
 * Attacks a Linux guest from Dom0, as one who rules its kernel could:
 * `mutate --dom NAME --kernel FILE [--plan] [ATTACK]`. More attacks are taken from
 * standard input, a name a line; `undo` undoes the last one, as the end of the
 * input does. With `--plan` nothing is changed, and it is only told what would be.
 *
 * Each is answered by a line of JSON, which an {@linkcode Answer} describes.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { versionText } from "../../../version_text.ts";
import type { Answer } from "./answer.ts";
import type { Attack } from "./attack.ts";
import { ATTACKS } from "./catalog.ts";
import { NotApplicableError } from "./not_applicable_error.ts";
import { Target } from "./target.ts";

function attackNamed(name: string): Attack {
  const attack = ATTACKS.find((attack) => attack.name === name);
  if (attack === undefined) throw new TypeError(`no such attack: ${name}`);
  return attack;
}

function apply(target: Target, attack: Attack): Answer {
  const rules = attack.rules[target.type];
  if (typeof rules === "string") return { skipped: rules };
  target.pause();
  try {
    attack.apply(target);
  } catch (error) {
    target.undo();
    if (!(error instanceof NotApplicableError)) throw error;
    return { skipped: error.message };
  }
  if (target.plan.length > 0) {
    const plan = [...target.plan];
    target.undo();
    return { plan };
  }
  const time = Date.now();
  const { effect } = target;
  if (!target.staysPaused) target.release();
  return {
    time,
    places: target.places.map(({ start, size }) => [`${start}`, size]),
    ...(effect === undefined ? {} : { effect: effect.source }),
  };
}

function undo(target: Target): Answer {
  const { isThere } = target;
  target.undo();
  return { wasThere: isThere };
}

async function* commands(first: readonly string[]): AsyncGenerator<string> {
  yield* first;
  const decoder = new TextDecoderStream();
  let text = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(decoder)) {
    const lines = (text + chunk).split("\n");
    text = lines.pop()!;
    yield* lines;
  }
  yield "undo";
}

async function main(args: readonly string[]): Promise<void> {
  const { dom, kernel, plan, version, _: first } = parseArgs([...args], {
    string: ["dom", "kernel", "_"],
    boolean: ["plan", "version"],
  });
  if (version) return console.log(versionText());
  if (typeof dom !== "string" || typeof kernel !== "string") {
    throw new TypeError("mutate --dom NAME --kernel FILE [--plan] [ATTACK]");
  }
  using target = await Target.open(dom, kernel, plan === true);
  console.log(JSON.stringify({ ready: true } satisfies Answer));
  for await (const command of commands(first.map(String))) {
    let answer: Answer;
    try {
      answer = command === "undo"
        ? undo(target)
        : apply(target, attackNamed(command));
    } catch (error) {
      answer = {
        error: error instanceof Error ? error.stack ?? error.message : "",
      };
    }
    console.log(JSON.stringify(answer));
  }
}

await main(Deno.args);
