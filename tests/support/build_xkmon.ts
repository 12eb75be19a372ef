import { exists } from "../lab/exists.ts";

const root = new URL("../../", import.meta.url).pathname;
const target = "x86_64-unknown-linux-gnu";
const result = `${root}dist/xkmon-x86_64-linux`;

/** What goes into the executable, from the root of the repository. */
const SOURCES = [
  "build.sh",
  "build_info.ts",
  "cli",
  "deno.json",
  "detect",
  "guestos",
  "launcher",
  "main.ts",
  "package.json",
  "permissions.txt",
  "version_text.ts",
  "xen",
];

async function lastChange(path: string): Promise<number> {
  const { isDirectory, mtime } = await Deno.stat(path);
  if (!isDirectory) return mtime!.getTime();
  let last = 0;
  for await (const { name } of Deno.readDir(path)) {
    if (name.endsWith("_test.ts")) continue;
    last = Math.max(last, await lastChange(`${path}/${name}`));
  }
  return last;
}

async function isCurrent(): Promise<boolean> {
  if (!await exists(result)) return false;
  const changes = SOURCES.map((source) => lastChange(root + source));
  return Math.max(...await Promise.all(changes)) <= await lastChange(result);
}

async function build(): Promise<string> {
  if (await isCurrent()) return result;
  const start = new Date();
  const { success, stderr } = await new Deno.Command(`${root}build.sh`, {
    args: ["--target", target],
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(600_000),
  }).output();
  if (!success) {
    throw new Error(
      `xkmon is not built\n${new TextDecoder().decode(stderr).slice(-4000)}`,
    );
  }
  // A source that changes during the build must count as newer than the result.
  await Deno.utime(result, start, start);
  return result;
}

let built: Promise<string> | undefined;

/**
 * Builds xkmon for the lab's Dom0, unless the file is newer than its sources.
 *
 * @returns the path of the executable on this machine.
 * @throws {Error} with the end of what `build.sh` says, if it fails.
 */
export function buildXkmon(): Promise<string> {
  return built ??= build();
}
