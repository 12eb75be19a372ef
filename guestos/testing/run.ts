/**
 * Runs a tool of the machine for the tests.
 *
 * @param command The tool and its arguments
 * @returns What it wrote to standard output
 * @throws {Error} If it fails or takes more than 30 s
 */
export async function run(...command: [string, ...string[]]): Promise<string> {
  const [tool, ...args] = command;
  const { success, stdout, stderr } = await new Deno.Command(tool, {
    args,
    env: { LC_ALL: "C" },
    signal: AbortSignal.timeout(30_000),
  }).output();
  const decoder = new TextDecoder();
  if (!success) {
    throw new Error(`${command.join(" ")} failed: ${decoder.decode(stderr)}`);
  }
  return decoder.decode(stdout);
}
