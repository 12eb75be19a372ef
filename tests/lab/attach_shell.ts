import type { Lab } from "./lab.ts";

/** End of transmission: the end of a terminal's input. */
const END = new Uint8Array([4]);

/** Connects this process' terminal to a shell in Dom0 until that ends. */
export async function attachShell(lab: Lab): Promise<void> {
  using connection = await lab.connectShell();
  const terminal = Deno.stdin.isTerminal();
  const size = Deno.stdout.isTerminal() ? Deno.consoleSize() : undefined;
  const job = await lab.spawn([
    "sh",
    "-c",
    // The first terminal that a session's leader opens becomes its own.
    "exec </dev/ttyS2 >/dev/ttyS2 2>&1; stty sane" +
    (size?.rows ? ` rows ${size.rows} columns ${size.columns}` : " -echo") +
    "; cd; exec sh -i",
  ]);
  let prompted = () => {};
  const prompt = new Promise<void>((resolve) => prompted = resolve);
  const output = copyOutput(connection, prompted);
  if (terminal) Deno.stdin.setRaw(true);
  try {
    // What comes earlier would be lost to the settings of the terminal.
    prompt.then(() => copyInput(connection));
    while (job.code === undefined) {
      try {
        await job.wait(3600_000);
      } catch (error) {
        if (!(error instanceof Deno.errors.TimedOut)) throw error;
      }
    }
  } finally {
    if (terminal) Deno.stdin.setRaw(false);
  }
  await Promise.race([
    output,
    new Promise((resolve) => setTimeout(resolve, 100)),
  ]);
}

async function copyInput(connection: Deno.UnixConn): Promise<void> {
  const buffer = new Uint8Array(1024);
  try {
    while (true) {
      const count = await Deno.stdin.read(buffer);
      await write(connection, count ? buffer.subarray(0, count) : END);
      if (!count) return;
    }
  } catch {
    // The shell has ended.
  }
}

async function copyOutput(
  connection: Deno.UnixConn,
  started: () => void,
): Promise<void> {
  const buffer = new Uint8Array(4096);
  try {
    while (true) {
      const count = await connection.read(buffer);
      if (!count) return;
      started();
      await write(Deno.stdout, buffer.subarray(0, count));
    }
  } catch {
    // The lab has ended.
  }
}

async function write(
  to: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let sent = 0; sent < bytes.length;) {
    sent += await to.write(bytes.subarray(sent));
  }
}
