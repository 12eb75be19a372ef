import {
  inspectLinux,
  type LinuxSummary,
} from "../guestos/linux/inspect_linux.ts";
import type { KernelMemory } from "../guestos/memory.ts";
import { CoreGuest } from "../xen/core_guest.ts";
import { findDomain } from "../xen/domains.ts";
import { XenHost } from "../xen/host.ts";
import { openGuest } from "../xen/open_guest.ts";
import type { Options } from "./options.ts";
import { Output } from "./output.ts";

/**
 * Shows what a running guest's memory tells of its Linux kernel.
 *
 * @param dom Name or domain id
 * @returns Exit status
 */
export async function profile(options: Options, dom: string): Promise<number> {
  using host = new XenHost();
  using guest = openGuest(host, findDomain(host.control, host.store, dom));
  return await show(options, guest);
}

/**
 * Shows what a core tells of its Linux kernel; needs no Xen.
 *
 * @param path The core
 * @returns Exit status
 */
export async function profileCore(
  options: Options,
  path: string,
): Promise<number> {
  using guest = new CoreGuest(path);
  return await show(options, guest);
}

async function show(options: Options, memory: KernelMemory): Promise<number> {
  const output = new Output(options.json);
  const start = performance.now();
  const inspected = inspectLinux(memory);
  const milliseconds = Math.round(performance.now() - start);
  const { summary } = inspected;
  if (options.save !== undefined) {
    await Deno.writeFile(options.save, inspected.save());
  }
  output.write(
    options.json
      ? JSON.stringify(
        { ...summary, milliseconds },
        (_, value) =>
          typeof value === "bigint" ? `0x${value.toString(16)}` : value,
      )
      : describe(summary, milliseconds),
  );
  return 0;
}

function describe(summary: LinuxSummary, milliseconds: number): string {
  const { banner, buildId, base, anchor, symbols, types, structures } = summary;
  return [
    banner,
    `  build id    ${buildId}`,
    `  _text       0x${base.toString(16)}, found by ${anchor}`,
    `  symbols     ${symbols}`,
    `  types       ${types}`,
    ...structures.map(({ name, size, members }) =>
      `  struct ${name}, ${size} bytes: ${
        Object.entries(members).map(([member, offset]) =>
          `${member} at ${offset}`
        ).join(", ")
      }`
    ),
    `  made in ${milliseconds} ms`,
  ].join("\n");
}
