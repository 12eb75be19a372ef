import { hostCommand } from "../lab/host_command.ts";
import type { Lab } from "../lab/mod.ts";

/** The machine and the releases behind the figures, as one sentence. */
export async function machineText(lab: Lab): Promise<string> {
  const cpus = await Deno.readTextFile("/proc/cpuinfo");
  const model = cpus.match(/^model name\s*: (.*)$/m)?.[1] ?? "unknown CPU";
  const qemu = new TextDecoder().decode(
    await hostCommand(["qemu-system-x86_64", "--version"]),
  );
  const emulator = qemu.match(/version (\S+)/)?.[1];
  const { stdout } = await lab.run(["xl", "info"]);
  const info = (name: string) =>
    stdout.match(new RegExp(`^${name}\\s*: (.*)$`, "m"))?.[1];
  return `${model}, ${navigator.hardwareConcurrency} cores; ` +
    `QEMU ${emulator} (TCG, 2 CPUs), Xen ${info("xen_version")}, ` +
    `Dom0 Linux ${info("release")}.`;
}
