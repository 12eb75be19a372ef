/**
 * Has QEMU carry out one command of its machine protocol, which is one JSON
 * object a line, and waits until it has.
 *
 * @param connection to the protocol's socket, not used before.
 * @throws {Error} with QEMU's words if it refuses.
 */
export async function qmp(
  connection: Deno.UnixConn,
  execute: string,
  args: Record<string, unknown>,
): Promise<void> {
  const lines = [{ execute: "qmp_capabilities" }, { execute, arguments: args }]
    .map((command) => `${JSON.stringify(command)}\n`);
  await connection.write(new TextEncoder().encode(lines.join("")));
  let answers = 0;
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(4096);
  let text = "";
  while (answers < lines.length) {
    const count = await connection.read(buffer);
    if (count === null) throw new Error(`QEMU ended during ${execute}`);
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
    const received = text.split("\n");
    text = received.pop()!;
    for (const line of received) {
      const message = JSON.parse(line);
      if (message.error) throw new Error(`${execute}: ${message.error.desc}`);
      // Besides answers there are a greeting and events.
      if ("return" in message) answers++;
    }
  }
}
