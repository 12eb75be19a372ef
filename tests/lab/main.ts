import { parseArgs } from "@std/cli/parse-args";
import { attachShell } from "./attach_shell.ts";
import {
  bochs,
  type Emulator,
  Lab,
  type LabConfig,
  type LabFile,
  qemu,
} from "./mod.ts";

const HELP =
  `A real Xen with a Linux Dom0, and a shell in it. It ends with the shell.

Usage: deno task lab [OPTION]...

  --put FILE[:DEST]      copy FILE into Dom0, to /root if there is no DEST
  --run COMMAND          run COMMAND instead of a shell, exit with its status
  --emulator NAME        qemu, an AMD machine (the default), or bochs, an
                         Intel machine
  --xen VERSION          release of Xen (4.17)
  --dom0-kernel PACKAGE  Debian package of Dom0's kernel (linux-image-amd64)
  --cpus N               physical CPUs (1)
  --dom0-cpus N          virtual CPUs of Dom0 (1)
  --memory MIB           memory of the machine (2560)
  --dom0-memory MIB      memory of Dom0 (1024)
  --help                 show this

/share in Dom0 is a directory of the host; the guests' consoles are in
/share/console, the logs of xl in /share/log.`;

const EMULATORS: Readonly<Record<string, Emulator>> = { bochs, qemu };

const STRINGS = [
  "put",
  "run",
  "emulator",
  "xen",
  "dom0-kernel",
  "cpus",
  "dom0-cpus",
  "memory",
  "dom0-memory",
];

/** What the command line asks for. */
interface Request {
  config: LabConfig;
  command?: string;
}

/** Reads the command line; `undefined` if it asks for help. */
function parse(args: string[]): Request | undefined {
  const options = parseArgs(args, {
    boolean: ["help"],
    string: STRINGS,
    collect: ["put"],
    unknown: (word: string) => {
      throw new TypeError(`unknown: ${word}`);
    },
  }) as Record<string, unknown>;
  if (options.help) return undefined;
  for (const name of STRINGS) {
    const value = options[name];
    if (value === "" || Array.isArray(value) && name !== "put") {
      throw new TypeError(`--${name}: one value, please`);
    }
  }
  const number = (name: string) => {
    const value = options[name];
    if (value === undefined) return undefined;
    if (!/^[1-9][0-9]{0,6}$/.test(`${value}`)) {
      throw new TypeError(`--${name}: no number: ${value}`);
    }
    return Number(value);
  };
  const emulator = options.emulator as string | undefined;
  if (emulator !== undefined && !Object.hasOwn(EMULATORS, emulator)) {
    throw new TypeError(`--emulator: there is ${Object.keys(EMULATORS)}`);
  }
  const config: LabConfig = {
    emulator: emulator === undefined ? undefined : EMULATORS[emulator],
    xen: options.xen as string | undefined,
    dom0Kernel: options["dom0-kernel"] as string | undefined,
    cpus: number("cpus"),
    dom0Cpus: number("dom0-cpus"),
    memoryMiB: number("memory"),
    dom0MemoryMiB: number("dom0-memory"),
    files: (options.put as string[]).map(labFile),
  };
  return { config, command: options.run as string | undefined };
}

function labFile(text: string): LabFile {
  const [from = "", to] = text.split(/:(?=\/)/);
  if (!Deno.statSync(from).isFile) throw new TypeError(`${from}: no file`);
  return { from, to: to ?? `/root/${from.split("/").at(-1)}` };
}

function fail(error: unknown): never {
  console.error(`lab: ${error instanceof Error ? error.message : error}`);
  Deno.exit(2);
}

let request: Request | undefined;
try {
  request = parse(Deno.args);
} catch (error) {
  fail(error);
}
if (!request) {
  console.log(HELP);
  Deno.exit();
}
const code = await (async ({ config, command }: Request) => {
  await using lab = await Lab.start(config);
  console.error(`lab: Dom0 is up after ${(lab.bootMs / 1000).toFixed(1)} s`);
  if (command === undefined) {
    await attachShell(lab);
    return 0;
  }
  const result = await lab.run(command, { check: false, timeoutMs: 3600_000 });
  await Deno.stdout.write(result.bytes);
  await Deno.stderr.write(new TextEncoder().encode(result.stderr));
  return result.code;
})(request).catch(fail);
// A read of standard input may still be under way.
Deno.exit(code);
