import { parseArgs } from "@std/cli/parse-args";
import type { ResponsePlan } from "../detect/response_plan.ts";
import { DEFAULT_DIGEST_STORE } from "../guestos/digest_store.ts";
import { profileModules } from "../guestos/profiles.ts";
import { defaultRungs, type Rung, rungs } from "../xen/protection.ts";
import { readResponses } from "./read_responses.ts";
import { UsageError } from "./usage_error.ts";

/** What xkmon can be asked to do. */
export const commands = [
  "monitor",
  "scan",
  "info",
  "doctor",
  "release",
  "enroll",
  "start",
  "profile",
  "guardian",
] as const;
export type Command = typeof commands[number];

/** The command line, read and checked. */
export interface Options {
  readonly command: Command;
  /** What follows the command: files */
  readonly files: readonly string[];
  readonly dom?: string;
  /** A core, in place of a running guest */
  readonly core?: string;
  readonly kernel?: string;
  /** Directory of the files of modules */
  readonly modules?: string;
  readonly profile?: string;
  /** A kept profile to use */
  readonly savedProfile?: string;
  /** Where to keep the profile */
  readonly save?: string;
  readonly responses: ResponsePlan;
  /** Where evidence of attacks is kept */
  readonly evidence: string;
  /** What may be done to keep a guest from writing */
  readonly rungs: readonly Rung[];
  /** Milliseconds from one pass to the next */
  readonly interval: number;
  readonly firstReading: boolean;
  readonly wait: boolean;
  /** Leave what stops writes in place if the monitor is killed */
  readonly failClosed: boolean;
  readonly json: boolean;
  readonly log?: string;
  readonly digests: string;
}

/** Where evidence is kept unless the operator says otherwise. */
const DEFAULT_EVIDENCE = "/var/lib/xkmon/incidents";

/** The text of `--help`. */
export const help = `\
xkmon guards the kernels of Xen guests from Dom0.

  xkmon --dom NAME              guard a running guest (name or domain id)
  xkmon start CONFIG            check the kernel file of an xl configuration,
                                create the guest and guard it from its first
                                instruction on
  xkmon scan --dom NAME         look once: exit 0 clean, 1 tampered,
                                2 could not tell
  xkmon scan --core FILE        the same for a core of xl dump-core or of
                                QEMU's dump-guest-memory, on any machine
  xkmon profile --dom NAME      what a guest's memory tells of its Linux kernel;
                                --core FILE: what a core does
  xkmon info --dom NAME         memory, virtual CPUs and devices of a guest
  xkmon doctor                  how each guest can be protected on this host,
                                and why not better; --dom NAME: for one
  xkmon enroll FILE...          keep the digests of kernel files
  xkmon release --dom NAME      undo what a killed monitor left behind

  --on-attack RESPONSE          what to do about an attack (pause): report,
                                block, restore, pause, dump, reboot, destroy,
                                from the weakest to the strongest; also for
                                single rules, and with evidence before it:
                                XK-002=restore,XK-001=dump+reboot,pause
  --evidence DIR                where a dump is kept
                                (${DEFAULT_EVIDENCE})
  --rungs trap,gate,lock,protect,poll
                                how writes may be stopped (all): by the
                                processor, by Xen, by read-only page tables,
                                not at all; dirty, only if named: not at all,
                                but Xen logs them, and only pages that were
                                written to are compared
  --interval SECONDS            from one pass to the next (1)
  --saved-profile FILE          a profile that was kept, where no kernel file is
  --save FILE                   keep the profile
  --kernel FILE                 kernel file of the guest (the one xl recorded)
  --modules DIR                 compare modules with their files in DIR, such as
                                /lib/modules/6.1.0-56-amd64 of its distribution
  --profile NAME                ${
  profileModules.map(({ name }) => name).join(", ")
} (by the kernel's ELF notes)
  --fail-closed                 if xkmon is killed, leave in place what stops
                                writes, and the guest waiting at a stopped
                                one, until xkmon release or the next xkmon;
                                without this all is undone within a second
  --trust-first-reading         take the guest's memory as it is now for good,
                                instead of the kernel file
  --wait                        go on when the guest is gone, until it is back
  --json                        one JSON object a line
  --log FILE                    append the program's own log to a file
  --digests FILE                digests of kernel files
                                (${DEFAULT_DIGEST_STORE})
  --version, --help
`;

const STRINGS = [
  "dom",
  "core",
  "save",
  "saved-profile",
  "kernel",
  "modules",
  "profile",
  "on-attack",
  "evidence",
  "rungs",
  "interval",
  "log",
  "digests",
] as const;
const BOOLEANS = [
  "json",
  "wait",
  "trust-first-reading",
  "fail-closed",
  "help",
  "version",
] as const;

type OptionName = typeof STRINGS[number] | typeof BOOLEANS[number];

const GUARDING = [
  "modules",
  "profile",
  "saved-profile",
  "on-attack",
  "evidence",
  "rungs",
  "interval",
  "trust-first-reading",
  "fail-closed",
  "wait",
  "json",
  "log",
  "digests",
] as const;

/** The options that mean something to each command */
const TAKES: Readonly<Record<Command, readonly OptionName[]>> = {
  monitor: ["dom", "kernel", ...GUARDING],
  // It is the configuration that names the kernel which xl boots
  start: GUARDING,
  scan: [
    "dom",
    "core",
    "kernel",
    "modules",
    "profile",
    "saved-profile",
    "json",
    "digests",
  ],
  profile: ["dom", "core", "save", "json"],
  info: ["dom", "json"],
  doctor: ["dom", "json"],
  release: ["dom", "json"],
  enroll: ["json", "digests"],
  guardian: [],
};

const MIN_INTERVAL = 0.05;
const MAX_INTERVAL = 3600;

/**
 * Reads the command line.
 *
 * @param args Without the program's name
 * @returns Options, or the plain request for help or version
 * @throws {UsageError} If something is wrong; the message says what to do
 */
export function readOptions(
  args: readonly string[],
): Options | "help" | "version" {
  if (args.includes("")) throw new UsageError("An argument is empty");
  const parsed = parseArgs(args, {
    // A file may be called 007
    string: [...STRINGS, "_"],
    boolean: BOOLEANS,
    collect: STRINGS,
    unknown: (arg) => {
      if (!arg.startsWith("-")) return true;
      throw new UsageError(`${arg} is no option of xkmon: see xkmon --help`);
    },
  });
  if (parsed.help) return "help";
  if (parsed.version) return "version";
  const text = (name: typeof STRINGS[number]): string | undefined => {
    const values = parsed[name] as string[];
    if (values.length > 1) throw new UsageError(`Give --${name} only once`);
    if (values[0] === "") throw new UsageError(`--${name} needs a value`);
    return values[0];
  };
  const [first, ...rest] = parsed._.map(String);
  const dom = text("dom");
  const command = first === undefined && dom !== undefined
    ? "monitor"
    : commands.find((command) => command === first);
  if (command === undefined) {
    throw new UsageError(
      first === undefined
        ? "Name the guest to guard: xkmon --dom NAME (see xkmon --help)"
        : `${first} is no command of xkmon: see xkmon --help`,
    );
  }
  const given: OptionName[] = [
    ...STRINGS.filter((name) => text(name) !== undefined),
    ...BOOLEANS.filter((name) => parsed[name] === true),
  ];
  const digests = text("digests") ?? DEFAULT_DIGEST_STORE;
  const options: Options = {
    command,
    files: rest,
    ...optional("dom", dom),
    ...optional("core", text("core")),
    ...optional("kernel", text("kernel")),
    ...optional("modules", text("modules")),
    ...optional("profile", text("profile")),
    ...optional("savedProfile", text("saved-profile")),
    ...optional("save", text("save")),
    ...optional("log", text("log")),
    responses: readResponses(text("on-attack") ?? "pause"),
    evidence: text("evidence") ?? DEFAULT_EVIDENCE,
    rungs: readRungs(text("rungs")),
    interval: readInterval(text("interval") ?? "1"),
    firstReading: parsed["trust-first-reading"] === true,
    wait: parsed.wait === true,
    failClosed: parsed["fail-closed"] === true,
    json: parsed.json === true,
    digests,
  };
  checkOperands(options);
  const foreign = given.find((name) => !TAKES[command].includes(name));
  if (foreign !== undefined) {
    throw new UsageError(`xkmon ${command} takes no --${foreign}`);
  }
  return options;
}

function optional<K extends string>(
  name: K,
  value: string | undefined,
): { [name in K]?: string } {
  return value === undefined
    ? {}
    : { [name]: value } as { [name in K]: string };
}

function complain(message: string): never {
  throw new UsageError(message);
}

function readRungs(text: string | undefined): readonly Rung[] {
  if (text === undefined) return defaultRungs;
  return text.split(",").map((word) =>
    rungs.find((rung) => rung === word) ??
      complain(`--rungs takes ${rungs.join(", ")}, not ${word}`)
  );
}

function readInterval(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= MIN_INTERVAL && seconds <= MAX_INTERVAL)) {
    throw new UsageError(
      `--interval takes seconds from ${MIN_INTERVAL} to ${MAX_INTERVAL}, not ${text}`,
    );
  }
  return seconds * 1000;
}

function checkOperands(options: Options): void {
  const { command, files, dom, core, firstReading } = options;
  if (command === "scan" && firstReading) {
    throw new UsageError(
      "xkmon scan has nothing to compare a first reading with: leave out " +
        "--trust-first-reading",
    );
  }
  const needsFiles = command === "enroll" || command === "start";
  if (needsFiles && files.length === 0) {
    throw new UsageError(`xkmon ${command} needs a file: see xkmon --help`);
  }
  if (command === "start" && files.length > 1) {
    throw new UsageError("xkmon start takes one configuration");
  }
  const takesWord = command === "guardian";
  if (!needsFiles && !takesWord && files.length > 0) {
    throw new UsageError(`xkmon ${command} does not take ${files[0]}`);
  }
  if (dom !== undefined && core !== undefined) {
    throw new UsageError("Give either --dom or --core, not both");
  }
  const isOfGuest = !needsFiles && command !== "guardian" &&
    command !== "doctor";
  if (isOfGuest && dom === undefined && core === undefined) {
    throw new UsageError(`xkmon ${command} needs --dom NAME`);
  }
}
