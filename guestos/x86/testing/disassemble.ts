/** A line of a disassembly. */
export interface DisassembledLine {
  /** Address of the first byte */
  readonly address: number;
  /** Mnemonic and operands */
  readonly text: string;
}

/**
 * Disassembles as Intel processors see the code, with binutils.
 *
 * @param args What to disassemble: arguments of `objdump`
 * @throws {Error} If `objdump` fails or takes more than 60 s
 */
export async function* disassemble(
  ...args: readonly string[]
): AsyncGenerator<DisassembledLine> {
  const child = new Deno.Command("objdump", {
    args: ["-dzw", "-M", "intel64", "--no-show-raw-insn", ...args],
    env: { LC_ALL: "C" },
    signal: AbortSignal.timeout(60_000),
    stdout: "piped",
  }).spawn();
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [, address, text] = line.match(/^ *([0-9a-f]+):\t(.*)$/) ?? [];
      if (address === undefined || text === undefined) continue;
      yield { address: parseInt(address, 16), text };
    }
  }
  const { code } = await child.status;
  if (code !== 0) throw new Error(`objdump ${args.join(" ")} failed: ${code}`);
}
