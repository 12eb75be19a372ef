import type { Profile } from "../../guestos/profile.ts";
import { simpleosFaultChannel } from "../../guestos/simpleos_fault_channel.ts";
import { SymbolTable } from "../../guestos/symbol_table.ts";
import { PAGE_SIZE } from "../guest.ts";
import { SyntheticGuest } from "./synthetic_guest.ts";

/** Two pages of code */
export const TEXT = 0xffff_ffff_8000_0000n;
/** One page of pointers */
export const TABLE = 0xffff_ffff_8000_2000n;
/** One page of constants */
export const LIMITS = 0xffff_ffff_8000_3000n;
/** A page that the kernel writes; its first byte tells that it is up. */
export const SCRATCH = 0xffff_ffff_8000_4000n;
/** A free address */
export const ELSEWHERE = 0xffff_ffff_8000_9000n;
/** Handler of page faults, in the code */
export const PAGE_FAULT = TEXT + 0x200n;
/** Handler of divide errors, in the code; no file tells of it */
export const DIVIDE = TEXT + 0x300n;

/** A guest with a small kernel and the profile that knows it. */
export interface GuardedKernel {
  readonly guest: SyntheticGuest;
  readonly profile: Profile;
}

/**
 * A kernel that is up, in a guest in memory.
 *
 * @param booted Whether it is up already
 */
export function guardedKernel(booted = true): GuardedKernel {
  const text = Uint8Array.from(
    { length: 2 * PAGE_SIZE },
    (_, at) => at * 31 + (at >> 8),
  );
  const table = new Uint8Array(PAGE_SIZE);
  const pointers = new DataView(table.buffer);
  pointers.setBigUint64(0, TEXT + 0x10n, true);
  pointers.setBigUint64(8, TEXT + 0x20n, true);
  const limits = new Uint8Array(PAGE_SIZE).fill(0x11);
  const guest = new SyntheticGuest();
  guest.map(TEXT, text);
  guest.map(TABLE, table);
  guest.map(LIMITS, limits);
  guest.map(SCRATCH, Uint8Array.from({ length: PAGE_SIZE }, () => 0));
  if (booted) guest.write(SCRATCH, [1]);
  guest.cpus = [{
    ...guest.cpus[0]!,
    traps: [
      { vector: 0, address: DIVIDE, cs: 0xe033, flags: 0 },
      { vector: 14, address: PAGE_FAULT, cs: 0xe033, flags: 4 },
    ],
    callbacks: { event: TEXT + 0x400n, failsafe: 0n, syscall: TEXT + 0x500n },
  }];
  const profile: Profile = {
    os: "Synthetic 1.0",
    symbols: new SymbolTable([
      { name: "_text", address: TEXT, size: 0x10 },
      { name: "sys_ping", address: TEXT + 0x10n, size: 0x10 },
      { name: "sys_stop", address: TEXT + 0x20n, size: 0x10 },
      { name: "page_fault", address: PAGE_FAULT, size: 0x10 },
      { name: "divide", address: DIVIDE, size: 0x10 },
      { name: "sys_call_table", address: TABLE, size: 16 },
      { name: "limits", address: LIMITS, size: 64 },
    ]),
    regions: [
      {
        name: "kernel text",
        kind: "code",
        start: TEXT,
        size: text.length,
        trusted: text,
      },
      {
        name: "sys_call_table",
        kind: "data",
        start: TABLE,
        size: table.length,
        trusted: table,
        sealable: true,
      },
      {
        name: "limits",
        kind: "data",
        start: LIMITS,
        size: limits.length,
        trusted: limits,
        sealable: true,
      },
    ],
    handlers: new Map([[14, PAGE_FAULT]]),
    singleAddressSpace: true,
    protectable: true,
    contradictions: [],
    notes: [],
    faultChannel: simpleosFaultChannel,
    booted: (memory) => memory.read(SCRATCH, 1)[0] === 1,
  };
  return { guest, profile };
}
