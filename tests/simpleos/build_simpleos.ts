const script = new URL("./build.sh", import.meta.url).pathname;
const kernel =
  new URL("../../.cache/simpleos/simpleos.elf", import.meta.url).pathname;

/**
 * Builds SimpleOS, unless the built file is newer than its sources.
 *
 * @returns the path of the ELF file on this machine.
 * @throws {Error} with what the compiler says, if it does not build.
 */
export async function buildSimpleOS(): Promise<string> {
  const { success, stderr } = await new Deno.Command(script, {
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(300_000),
  }).output();
  if (!success) {
    throw new Error(
      `SimpleOS does not build\n${new TextDecoder().decode(stderr)}`,
    );
  }
  return kernel;
}
