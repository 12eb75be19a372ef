import { type Response, responses } from "../detect/event.ts";
import { type PlannedResponse, ResponsePlan } from "../detect/response_plan.ts";
import { rules } from "../detect/rules.ts";
import { UsageError } from "./usage_error.ts";

const RULE_IDS = Object.values(rules).map(({ id }) => id as string);

/**
 * Reads what to do when an attack is found: `pause`, or a list for some rules,
 * such as `XK-002=restore,XK-001=dump+reboot,report`.
 *
 * @throws {UsageError} If something is wrong; the message says what to do
 */
export function readResponses(text: string): ResponsePlan {
  let base: PlannedResponse | undefined;
  const byRule = new Map<string, PlannedResponse>();
  for (const item of text.split(",")) {
    const [first = "", second, ...more] = item.split("=");
    if (more.length > 0) complain(item);
    if (second === undefined) {
      const response = readResponse(first);
      if (base !== undefined) {
        throw new UsageError(
          `--on-attack takes one response for all rules, not ${item} as well`,
        );
      }
      base = response;
      continue;
    }
    if (!RULE_IDS.includes(first)) {
      throw new UsageError(
        `--on-attack knows the rules ${RULE_IDS.join(", ")}, not ${first}`,
      );
    }
    if (byRule.has(first)) {
      throw new UsageError(`--on-attack has two responses for ${first}`);
    }
    byRule.set(first, readResponse(second));
  }
  return new ResponsePlan(base ?? { response: "pause", dump: false }, byRule);
}

/** `dump` may be joined with another one; with `pause` it is just that. */
function readResponse(text: string): PlannedResponse {
  const words = text.split("+").map((word) =>
    responses.find((name) => name === word) ?? complain(word)
  );
  const dump = words.includes("dump");
  const others = words.filter((word) => word !== "dump");
  const [response = "pause"] = others;
  if (words.length > 2 || words.length === 2 && others.length !== 1) {
    throw new UsageError(
      `--on-attack joins dump with one other response, not ${text}`,
    );
  }
  return { response: dumped(response, dump), dump };
}

function dumped(response: Response, dump: boolean): Response {
  return dump && response === "pause" ? "dump" : response;
}

function complain(word: string): never {
  throw new UsageError(
    `--on-attack takes ${responses.join(", ")}, also joined (dump+reboot) or ` +
      `for one rule (XK-002=restore), not ${word}`,
  );
}
