import { hvmCpu, trapInfo, vcpuContext } from "../../xen/layouts.ts";
import type { LinuxGuestType } from "../lab/mod.ts";
import type { PlannedChange } from "../linux/attacks/planned_change.ts";

/** Ways in which the module writes memory: see `inside.c`. */
export type Way = "alias" | "unprotected" | "remapped" | "hypercall";

/** Bytes of one order at most, and what it must not go beyond */
const MAX_BYTES = 64;
const PAGE_SIZE = 4096;

/** Orders that write memory, each within a page. */
function writes(way: Way, address: string, bytes: string): string[] {
  const orders: string[] = [];
  const size = bytes.length / 2;
  for (let done = 0; done < size;) {
    const at = BigInt(`0x${address}`) + BigInt(done);
    const toEnd = PAGE_SIZE - Number(at % BigInt(PAGE_SIZE));
    const part = Math.min(MAX_BYTES, toEnd, size - done);
    const digits = bytes.slice(2 * done, 2 * (done + part));
    orders.push(`write ${way} ${at.toString(16)} ${digits}`);
    done += part;
  }
  return orders;
}

function hex(value: bigint): string {
  return value.toString(16);
}

/** Bits that are to be set, and those that are to be cleared. */
function bitsOf(from: bigint, to: bigint): string {
  return `${hex(to & ~from)} ${hex(from & ~to)}`;
}

function ofCpu(
  type: LinuxGuestType,
  at: number,
  from: bigint,
  to: bigint,
  isUndo: boolean,
): string {
  const bits = bitsOf(from, to);
  const entry = type === "pv"
    ? vcpuContext.syscall_callback_eip
    : hvmCpu.msr_lstar;
  // Elsewhere than to the module no system call would come back from
  if (at === entry) return isUndo ? `leave ${hex(to)}` : `enter ${hex(from)}`;
  if (type === "pvh" && at === hvmCpu.cr0) return `cr0 ${bits}`;
  if (type === "pvh" && at === hvmCpu.cr4) return `cr4 ${bits}`;
  const vector = (at - vcpuContext.trap_ctxt - trapInfo.address) /
    trapInfo.size;
  if (type === "pv" && Number.isInteger(vector)) {
    return `trap ${vector.toString(16)} ${hex(to)}`;
  }
  throw new RangeError(`no order changes offset ${at} of a processor`);
}

/**
 * Orders for the module inside a guest that make a change there.
 *
 * @param isUndo Whether to change it back
 */
export function ordersOfChange(
  type: LinuxGuestType,
  change: PlannedChange,
  way: Way,
  isUndo: boolean,
): string[] {
  const [from, to] = isUndo
    ? [change.after, change.before]
    : [change.before, change.after];
  if (change.kind === "memory") return writes(way, change.address, to);
  const [old, wanted] = [BigInt(`0x${from}`), BigInt(`0x${to}`)];
  return change.kind === "entry"
    // The frame may be another one by then
    ? [`map ${change.address} ${bitsOf(old, wanted)}`]
    : [ofCpu(type, change.at, old, wanted, isUndo)];
}
