import { nop } from "../x86/nops.ts";
import type { KernelModule } from "./code_owners.ts";
import type { GuestState } from "./guest_state.ts";
import { KernelReader } from "./kernel_reader.ts";
import { jumpLabel } from "./patches/jump_labels.ts";
import type { ReturnThunk } from "./patches/returns.ts";
import { staticCall } from "./patches/static_calls.ts";
import type { TextSite } from "./sites.ts";
import { BRANCH_SIZE } from "./x86_branch.ts";

const MAX_ENTRIES = 65_536;
const JUMP_STRIDE = 16;
const CALL_STRIDE = 8;
const FTRACE_STRIDE = 8;

/** A table of a module: where it is, and of how many entries. */
interface Table {
  readonly start: bigint;
  readonly count: number;
}

/**
 * The places that the kernel rewrites in a module's code, by the module's own
 * tables in the guest's memory. Places outside the module's code are left out.
 *
 * @throws {UnreadableMemoryError} If a table cannot be read
 */
export function moduleSites(
  state: GuestState,
  module: KernelModule,
  thunk: ReturnThunk,
): TextSite[] {
  const { image } = state;
  const reader = new KernelReader(state.memory, image.btf);
  const offset = (address: bigint) => Number(address - image.base);
  const start = offset(module.text.start);
  const end = start + module.text.size;
  const inside = (at: number, size = BRANCH_SIZE) =>
    at >= start && at + size <= end;
  const sites: TextSite[] = [];

  const jumps = table(reader, module, "jump_entries", "num_jump_entries");
  for (const place of entries(jumps, JUMP_STRIDE)) {
    const entry = reader.bytes(place, JUMP_STRIDE);
    const at = offset(place) + new DataView(entry.buffer).getInt32(0, true);
    if (!inside(at)) continue;
    const code = reader.bytes(image.address(at), BRANCH_SIZE);
    sites.push(jumpLabel(new DataView(entry.buffer), offset(place), code));
  }

  const calls = table(
    reader,
    module,
    "static_call_sites",
    "num_static_call_sites",
  );
  for (const place of entries(calls, CALL_STRIDE)) {
    const entry = reader.bytes(place, CALL_STRIDE);
    const at = offset(place) + new DataView(entry.buffer).getInt32(0, true);
    if (!inside(at)) continue;
    const code = reader.bytes(image.address(at), BRANCH_SIZE + 1);
    const view = new DataView(entry.buffer);
    const site = staticCall(image, thunk, view, offset(place), code);
    if (inside(at, site.size)) sites.push(site);
  }

  const traced = table(
    reader,
    module,
    "ftrace_callsites",
    "num_ftrace_callsites",
  );
  const form = nop(BRANCH_SIZE);
  for (const place of entries(traced, FTRACE_STRIDE)) {
    const at = offset(reader.u64(place));
    if (!inside(at)) continue;
    sites.push({ kind: "ftrace", at, size: BRANCH_SIZE, forms: () => [form] });
  }
  return sites.sort((a, b) => a.at - b.at);
}

function table(
  reader: KernelReader,
  { address }: KernelModule,
  pointer: string,
  count: string,
): Table {
  if (reader.btf.member("module", pointer) === undefined) {
    return { start: 0n, count: 0 };
  }
  return {
    start: reader.pointer(address, "module", pointer),
    count: reader.number(address, "module", count),
  };
}

function* entries({ start, count }: Table, stride: number): Generator<bigint> {
  if (start === 0n) return;
  for (let index = 0; index < Math.min(count, MAX_ENTRIES); index++) {
    yield start + BigInt(index * stride);
  }
}
