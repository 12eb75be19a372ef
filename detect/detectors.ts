import type { Profile } from "../guestos/profile.ts";
import { AddressSpace } from "./address_space.ts";
import { Contradictions } from "./contradictions.ts";
import { ControlRegisters } from "./control_registers.ts";
import { DescriptorTables } from "./descriptor_tables.ts";
import { ExecutableMemory } from "./executable_memory.ts";
import type { Detector } from "./finding.ts";
import type { Guest } from "./guest.ts";
import { InvariantData } from "./invariant_data.ts";
import { KernelText } from "./kernel_text.ts";
import { ModuleText } from "./module_text.ts";
import { SystemCallEntry } from "./system_call_entry.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/** The rules on contents, which hold from the first instruction on. */
export function contentDetectors(
  guest: Guest,
  { symbols, contradictions }: Profile,
  regions: readonly TrustedRegion[],
): [KernelText, ...Detector[]] {
  return [
    new KernelText(guest, symbols, regions),
    new InvariantData(guest, symbols, regions),
    new Contradictions(symbols, contradictions),
  ];
}

/**
 * The rules that a kernel must be up for, as far as its profile tells what
 * they need. Those on its page tables and handlers need an earlier look and
 * are not among them.
 *
 * @param settled The virtual CPUs whose registers are judged
 * @param standsStill Whether nothing can change between two looks
 */
export function stateDetectors(
  guest: Guest,
  settled: Pick<Guest, "cpus">,
  profile: Profile,
  standsStill: boolean,
): Detector[] {
  const { symbols, codeMap, loadedCode, entryPoints } = profile;
  const detectors: Detector[] = [
    new ControlRegisters(settled),
    new DescriptorTables(guest, settled, profile),
  ];
  if (entryPoints !== undefined) {
    detectors.push(new SystemCallEntry(settled, symbols, entryPoints));
  }
  if (loadedCode !== undefined) {
    detectors.push(new ModuleText(guest, symbols, loadedCode));
  }
  if (codeMap !== undefined) {
    detectors.push(new ExecutableMemory(guest, symbols, codeMap, standsStill));
  }
  if (profile.singleAddressSpace) detectors.push(new AddressSpace(guest));
  return detectors;
}
