/** What {@linkcode hostCommand} takes besides the command. */
export interface HostCommandOptions {
  /** Working directory. */
  cwd?: string;
  /** Limit in milliseconds, 5 minutes if not given. */
  timeoutMs?: number;
}

/**
 * Runs a program on the host to its end and returns its standard output.
 *
 * @throws {Error} if it fails or takes too long; with the end of its output.
 */
export async function hostCommand(
  command: readonly string[],
  { cwd, timeoutMs = 300_000 }: HostCommandOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const [program, ...args] = command;
  if (program === undefined) throw new TypeError("an empty command");
  const { code, signal, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    stdin: "null",
    env: { LC_ALL: "C" },
    signal: AbortSignal.timeout(timeoutMs),
  }).output();
  if (code !== 0) {
    const said = new TextDecoder().decode(stderr).trim().slice(-2000);
    const how = signal === null ? `status ${code}` : signal;
    throw new Error(`${command.join(" ")}: ${how}\n${said}`);
  }
  return stdout;
}
