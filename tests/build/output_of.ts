/** What a finished command left behind. */
export interface Output {
  /** Exit status; 128 + signal number if a signal ended it. */
  code: number;
  stdout: string;
  stderr: string;
}

/**
 * Runs a command to its end, with nothing on its standard input.
 *
 * @param command Program and arguments.
 * @param options Working directory, variables to add, and the limit in
 * milliseconds (one minute by default) after which the command is killed.
 */
export async function outputOf(
  command: string[],
  options: { cwd?: string; env?: Record<string, string>; limit?: number } = {},
): Promise<Output> {
  const [program, ...args] = command as [string, ...string[]];
  const { cwd, env, limit = 60_000 } = options;
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args,
    cwd,
    env,
    stdin: "null",
    signal: AbortSignal.timeout(limit),
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}
