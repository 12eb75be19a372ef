const LIMIT_MS = 30_000;

/**
 * Compiles C against the installed headers; any warning is an error.
 *
 * @param args Arguments of gcc besides the warnings
 * @param source C text for its standard input, where an argument is `-`
 * @throws {Error} With gcc's messages if it does not compile
 */
export async function compile(
  args: readonly string[],
  source = "",
): Promise<void> {
  const gcc = new Deno.Command("gcc", {
    args: ["-Wall", "-Wextra", "-Werror", ...args],
    env: { LC_ALL: "C" },
    stdin: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(LIMIT_MS),
  }).spawn();
  const writer = gcc.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  const { success, stderr } = await gcc.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
