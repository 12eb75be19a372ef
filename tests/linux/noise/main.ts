/**
 * Lets a Linux guest change its own kernel in all legitimate ways at once while
 * xkmon guards it (`deno task noise`), and says what xkmon made of it. Exit
 * status: 0 if xkmon was right, 1 if not, 2 if the command line is wrong.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { bochs } from "../../lab/bochs.ts";
import type { LinuxGuestType } from "../../lab/linux_guest.ts";
import { LINUX_KERNELS, type LinuxVersion } from "../../lab/linux_kernels.ts";
import { qemu } from "../../lab/qemu.ts";
import { judgeNoise } from "./judge_noise.ts";
import { NOISE_KINDS, type NoiseKind } from "./noise_kinds.ts";
import { renderNoise } from "./render_noise.ts";
import { type NoiseOptions, runNoise } from "./run_noise.ts";

const TYPES: readonly LinuxGuestType[] = ["pv", "pvh"];
const EMULATORS = { qemu, bochs };
const EMULATOR_NAMES = ["qemu", "bochs"] as const;
const ALL_KINDS = Object.keys(NOISE_KINDS) as NoiseKind[];

const HELP = `Legitimate changes of a Linux kernel, while xkmon guards it.

Usage: deno task noise [OPTION]...

  --kernel VERSION   ${Object.keys(LINUX_KERNELS).join(", ")} (6.1)
  --type TYPE        ${TYPES.join(" or ")} (pv)
  --minutes N        how long (15)
  --kinds KIND,...   ${ALL_KINDS.join(",")}
                     (all; cpus with more than one processor only, ftrace_all
                     with pv only: an emulated PVH guest stands still under it)
  --vcpus N          processors of the guest (1)
  --late-cpus        all but one of them are started by the noise (pvh only:
                     a PV kernel forgets processors that it does not start)
  --early            there is noise already when xkmon arms
  --cpus N           physical processors (1)
  --emulator NAME    ${EMULATOR_NAMES.join(" or ")} (qemu)
  --alone            without xkmon: whether the guest bears it itself
  --keep DIRECTORY   keep what xkmon, the guest and Xen said
  --help             show this`;

/** What the command line asks for. */
interface Request extends NoiseOptions {
  readonly keep?: string;
}

/** Reads the command line; `undefined` if it asks for help. */
function parse(args: string[]): Request | undefined {
  const options = parseArgs(args, {
    boolean: ["help", "late-cpus", "early", "alone"],
    string: [
      ...["kernel", "type", "minutes", "kinds", "vcpus", "cpus", "emulator"],
      "keep",
    ],
    unknown: (word: string) => {
      throw new TypeError(`unknown: ${word}`);
    },
  }) as Record<string, unknown>;
  if (options.help) return undefined;
  const number = (name: string, fallback: number) => {
    const value = Number(options[name] ?? fallback);
    if (!(value > 0)) throw new TypeError(`--${name}: no number`);
    return value;
  };
  const oneOf = <T extends string>(name: string, all: readonly T[]) => {
    return (value: unknown): T => {
      const found = all.find((known) => known === value);
      if (found !== undefined) return found;
      throw new TypeError(`--${name}: one of ${all.join(", ")}`);
    };
  };
  const versions = Object.keys(LINUX_KERNELS) as LinuxVersion[];
  const vcpus = number("vcpus", 1);
  const type = oneOf("type", TYPES)(options.type ?? "pv");
  const lateCpus = options["late-cpus"] === true;
  if (lateCpus && type === "pv") {
    throw new TypeError("--late-cpus: for --type pvh");
  }
  const kinds = options.kinds === undefined
    ? ALL_KINDS.filter((kind) =>
      (kind !== "cpus" || vcpus > 1) &&
      (kind !== "ftrace_all" || type === "pv")
    )
    : `${options.kinds}`.split(",").map(oneOf("kinds", ALL_KINDS));
  return {
    version: oneOf("kernel", versions)(options.kernel ?? "6.1"),
    type,
    kinds,
    minutes: number("minutes", 15),
    vcpus,
    lateCpus,
    early: options.early === true,
    alone: options.alone === true,
    cpus: number("cpus", 1),
    emulator: EMULATORS[
      oneOf("emulator", EMULATOR_NAMES)(options.emulator ?? "qemu")
    ],
    keep: options.keep as string | undefined,
  };
}

let request: Request | undefined;
try {
  request = parse(Deno.args);
} catch (error) {
  console.error(`noise: ${(error as Error).message}`);
  Deno.exit(2);
}
if (request === undefined) {
  console.log(HELP);
  Deno.exit();
}
const { keep, kinds } = request;
const result = await runNoise(request, (text) => console.error(text));
if (keep !== undefined) {
  await Deno.mkdir(keep, { recursive: true });
  const { guard, console, xen } = result;
  const lines = guard?.events.map((event) => `${JSON.stringify(event)}\n`);
  await Deno.writeTextFile(`${keep}/events.jsonl`, lines?.join("") ?? "");
  await Deno.writeTextFile(`${keep}/console`, console);
  await Deno.writeTextFile(`${keep}/xen`, xen);
}
console.log(renderNoise(result));
const wrong = judgeNoise(result, kinds);
console.log(wrong.length === 0 ? "nothing is wrong" : wrong.join("\n"));
Deno.exitCode = wrong.length === 0 ? 0 : 1;
