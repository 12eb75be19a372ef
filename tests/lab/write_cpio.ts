import type { CpioEntry } from "./cpio_entry.ts";

/**
 * Writes an initramfs: a cpio archive in the "newc" format
 * (Documentation/driver-api/early-userspace/buffer-format.rst in Linux).
 * Owner is root, times are 0: equal entries give equal bytes.
 *
 * @param target path of the archive.
 * @param entries directories before what is in them.
 */
export async function writeCpio(
  target: string,
  entries: readonly CpioEntry[],
): Promise<void> {
  const archive = await Deno.open(target, {
    create: true,
    truncate: true,
    write: true,
  });
  const writer = archive.writable.getWriter();
  let inode = 0;
  for (const { path, mode, data } of [...entries, TRAILER]) {
    const name = new TextEncoder().encode(`${path}\0`);
    const fields = [
      ++inode,
      mode,
      ...[0, 0], // owner and group
      1, // links
      0, // time
      data?.length ?? 0,
      ...[0, 0, 0, 0], // device numbers
      name.length,
      0, // checksum, unused
    ];
    const header = new TextEncoder().encode(
      "070701" + fields.map((n) => n.toString(16).padStart(8, "0")).join(""),
    );
    await writer.write(header);
    await writer.write(name);
    await writer.write(padding(header.length + name.length));
    if (!data) continue;
    await writer.write(data);
    await writer.write(padding(data.length));
  }
  await writer.close();
}

const TRAILER: CpioEntry = { path: "TRAILER!!!", mode: 0 };

function padding(length: number): Uint8Array {
  return new Uint8Array(-length & 3);
}
