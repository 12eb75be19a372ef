/**
 * Sends bytes through a tool of the machine for the tests.
 *
 * @param bytes What the tool reads from standard input
 * @param command The tool and its arguments
 * @returns What it wrote to standard output
 * @throws {Error} If it fails or takes more than 30 s
 */
export async function pipeThrough(
  bytes: Uint8Array<ArrayBuffer>,
  ...command: readonly [string, ...string[]]
): Promise<Uint8Array<ArrayBuffer>> {
  const [tool, ...args] = command;
  const child = new Deno.Command(tool, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C" },
    signal: AbortSignal.timeout(30_000),
  }).spawn();
  const [{ success, stdout, stderr }] = await Promise.all([
    child.output(),
    new Blob([bytes]).stream().pipeTo(child.stdin),
  ]);
  if (!success) {
    const said = new TextDecoder().decode(stderr);
    throw new Error(`${command.join(" ")} failed: ${said}`);
  }
  return stdout;
}
