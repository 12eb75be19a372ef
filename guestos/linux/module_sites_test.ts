import { assertEquals, assertThrows } from "@std/assert";
import { UnreadableMemoryError } from "../memory.ts";
import { nop } from "../x86/nops.ts";
import { GuestState } from "./guest_state.ts";
import { moduleSites } from "./module_sites.ts";
import { hex, s32 } from "./testing/image_builder.ts";
import { offsets } from "./testing/kernel_types.ts";
import { SyntheticKernel } from "./testing/synthetic_kernel.ts";

const MODULE = 0xffff_ffff_c000_0000n;
const TABLES = 0xffff_ffff_c001_0000n;
const KEY = 0xffff_ffff_c002_0000n;
const SIZE = 0x1000;
const TAIL = 1n;

/** A module with one place of each kind, and tables that a test may change. */
function setUp() {
  const kernel = new SyntheticKernel();
  const { memory, image } = kernel;
  const address = kernel.addModule("lab", { start: MODULE, size: SIZE });
  memory.write(MODULE, new Uint8Array(SIZE).fill(0x90));
  memory.write(MODULE + 0x10n, nop(5));
  memory.write(MODULE + 0x20n, hex("66 90"));
  memory.write(MODULE + 0x30n, hex("e8 00 00 00 00"));
  memory.write(MODULE + 0x40n, hex("0f 84 00 00 00 00"));
  memory.write(KEY, new Uint8Array(16));
  const { module } = offsets;
  const jump = (place: bigint, at: bigint) => {
    memory.write(place, s32(Number(at - place)));
    memory.write(place + 4n, s32(Number(at + 0x70n - place - 4n)));
    memory.u64(place + 8n, KEY - place - 8n);
  };
  const call = (place: bigint, at: bigint, key: bigint) => {
    memory.write(place, s32(Number(at - place)));
    memory.write(place + 4n, s32(Number(key - place - 4n)));
  };
  const table = (pointer: number, count: number, at: bigint, size: number) => {
    memory.u64(address + BigInt(pointer), at);
    memory.u32(address + BigInt(count), size);
  };
  jump(TABLES, MODULE + 0x20n);
  jump(TABLES + 16n, MODULE + 0x10n);
  table(module.jump_entries, module.num_jump_entries, TABLES, 2);
  const calls = TABLES + 0x100n;
  call(calls, MODULE + 0x30n, KEY + 8n);
  call(calls + 8n, MODULE + 0x40n, KEY + 8n | TAIL);
  table(module.static_call_sites, module.num_static_call_sites, calls, 2);
  const traced = TABLES + 0x200n;
  memory.u64(traced, MODULE);
  table(module.ftrace_callsites, module.num_ftrace_callsites, traced, 1);
  const state = new GuestState(image, memory);
  const sites = () =>
    moduleSites(state, state.owners.modules[0]!, {
      offset: 0x100,
      lowerHalf: false,
    });
  return { kernel, memory, address, state, sites, jump, call, traced };
}

Deno.test("the places of a module are those of its tables, ascending", () => {
  const { kernel, sites } = setUp();
  assertEquals(
    sites().map(({ kind, at, size }) => [kind, kernel.at(at), size]),
    [
      ["ftrace", MODULE, 5],
      ["jump label", MODULE + 0x10n, 5],
      ["jump label", MODULE + 0x20n, 2],
      ["static call", MODULE + 0x30n, 5],
      ["static call", MODULE + 0x40n, 6],
    ],
  );
});

Deno.test("their forms follow keys that are in the module", () => {
  const { memory, state, sites } = setUp();
  const forms = () => sites().map(({ forms }) => forms(state.data)[0]!.toHex());
  const before = forms();
  assertEquals(before.slice(0, 4), [
    "0f1f440000",
    "0f1f440000",
    "6690",
    "0f1f440000",
  ]);
  memory.u32(KEY, 1);
  memory.u64(KEY + 8n, MODULE + 0x100n);
  state.refresh();
  assertEquals(forms(), [
    "0f1f440000",
    "e96b000000",
    "eb6e",
    "e8cb000000",
    "0f84ba000000",
  ]);
});

Deno.test("places outside of the module's code are left out", () => {
  const { kernel, memory, sites, jump, call, traced } = setUp();
  jump(TABLES, kernel.at(0x100));
  jump(TABLES + 16n, MODULE + BigInt(SIZE) - 4n);
  call(TABLES + 0x100n, MODULE - 1n, KEY);
  memory.u64(traced, 0n);
  assertEquals(sites().map(({ kind }) => kind), ["static call"]);
});

Deno.test("a place that reaches over the end of the module's code is left out", () => {
  const { memory, sites, call } = setUp();
  const last = MODULE + BigInt(SIZE) - 5n;
  memory.write(last, hex("0f 84 00 00 00 00"));
  call(TABLES + 0x108n, last, KEY + 8n | TAIL);
  assertEquals(
    sites().filter(({ kind }) => kind === "static call").map(({ size }) =>
      size
    ),
    [5],
  );
});

Deno.test("tables that are not there are empty", () => {
  const { memory, address, sites } = setUp();
  for (
    const pointer of [
      offsets.module.jump_entries,
      offsets.module.static_call_sites,
      offsets.module.ftrace_callsites,
    ]
  ) memory.u64(address + BigInt(pointer), 0n);
  assertEquals(sites(), []);
});

Deno.test("a table of absurd size ends where memory does", () => {
  const { memory, address, sites } = setUp();
  memory.u32(address + BigInt(offsets.module.num_jump_entries), 0xffff_ffff);
  memory.reads = 0;
  assertThrows(sites, UnreadableMemoryError);
  assertEquals(memory.reads < 20, true);
});
