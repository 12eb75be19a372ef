import type { GuardedRegion, MonitorEvent } from "../detect/event.ts";
import type { Finding } from "../detect/finding.ts";

const RED = "\x1b[1;31m";
const YELLOW = "\x1b[33m";
const GREEN = "\x1b[32m";
const RESET = "\x1b[0m";

const SEEN = {
  fault: "fault of the guest",
  stop: "a write that Xen stopped",
  compare: "comparison with the trusted copy",
  drift: "drift from the trusted state",
} as const;

function bytes(value: Uint8Array): string {
  return value.toHex().replace(/../g, "$& ").trimEnd();
}

function describeFinding(finding: Finding): string[] {
  const { rule, symbol, address, expected, found, ip, method } = finding;
  const { attempted } = finding;
  const same = expected?.toHex() === found?.toHex();
  return [
    `${rule.id} ${rule.title}: ${symbol} (0x${address.toString(16)}) in ` +
    `${finding.what}: ${finding.summary}`,
    `  seen by ${SEEN[finding.seen]}` +
    (method === undefined ? "" : `; method: ${method}`) +
    (ip === undefined
      ? ""
      : `; instruction ${finding.ipSymbol} (0x${ip.toString(16)})`),
    ...(expected === undefined || found === undefined
      ? []
      : same
      ? [`  bytes are still ${bytes(expected)}`]
      : [`  expected ${bytes(expected)}`, `  found    ${bytes(found)}`]),
    ...(attempted === undefined
      ? []
      : [`  would have become ${bytes(attempted)}`]),
    `  MITRE ATT&CK ${rule.technique.id} ${rule.technique.name}`,
  ];
}

/** What becomes of a write to a region, and when it is noticed. */
function promise({ kind, rung }: GuardedRegion): string {
  switch (rung) {
    case "trap":
      return "trap: writes are dropped, told at once";
    case "gate":
      return kind === "data"
        ? "gate: writes are dropped, told at once"
        : "gate: writes are dropped";
    case "lock":
      return "lock: writes fault, and Xen makes none for the guest";
    case "protect":
      return "protect: writes fault";
    case "dirty":
      return "dirty: writes are seen at the next pass, and only pages " +
        "written to are compared";
    case "poll":
      return "poll: writes are seen at the next pass";
  }
}

function describeRegion(region: GuardedRegion): string {
  const { name, kind, start, pages, source, sha256 } = region;
  return `  ${name} (${kind}): ${pages} page${pages === 1 ? "" : "s"} at ` +
    `0x${start.toString(16)}, ${promise(region)}; trusted copy: ${source}, ` +
    `SHA-256 ${sha256.slice(0, 16)}…`;
}

/**
 * An event as lines for people.
 *
 * @param color Whether the terminal shows colour
 */
export function renderText(event: MonitorEvent, color: boolean): string {
  const paint = (tint: string, text: string) =>
    color ? `${tint}${text}${RESET}` : text;
  const head = `${event.time.toISOString()} ${event.domain.name}(` +
    `${event.domain.id})`;
  const lines = (() => {
    switch (event.type) {
      case "armed":
        return [
          `${paint(GREEN, "GUARDED")} ${event.os}, ${
            event.phase === "booting"
              ? "still booting: contents are compared"
              : "all rules at work"
          }${
            event.entries === 0
              ? ""
              : `; ${event.entries} page-table entries made read-only`
          }`,
          ...event.regions.map(describeRegion),
          ...(event.registers
            ? ["  registers: changes that weaken the kernel are denied"]
            : []),
        ];
      case "finding": {
        const [first, ...rest] = describeFinding(event.finding);
        return [`${paint(RED, "ATTACK")} ${first}`, ...rest];
      }
      case "unreadable": {
        const { rule, what, address, reason } = event.unreadable;
        return [
          `${paint(YELLOW, "CANNOT TELL")} ${rule.id} ${rule.title}: ${what}` +
          (address === undefined
            ? `: ${reason}`
            : ` (0x${address.toString(16)}) is unreadable: ${reason}`),
        ];
      }
      case "instrumentation": {
        const { rule, by, symbol, address, places } = event.instrumentation;
        return [
          `${paint(YELLOW, "INSTRUMENTED")} ${rule.id}: ${by}, at ` +
          `${symbol} (0x${address.toString(16)})` +
          (places === 1 ? "" : ` and ${places - 1} other places`),
        ];
      }
      case "response":
        return [`${paint(YELLOW, event.response.toUpperCase())} ${event.text}`];
      case "notice":
        return [event.text];
    }
  })();
  return [`${head} ${lines[0]}`, ...lines.slice(1)].join("\n");
}
