import { assert, assertEquals } from "@std/assert";
import type { Check, Context } from "./context.ts";
import { directMap, image, PAGE } from "./ranges.ts";

/** One page in so many of the direct map; prime, so that all tables have one */
const SAMPLE = 13n;

/** Compares our walk with Xen's; returns the number of pages. */
function compareWalks(
  { guest, host, domain }: Context,
  start: bigint,
  end: bigint,
  step = PAGE,
): number {
  let count = 0;
  for (let address = start; address < end; address += step) {
    const walk = guest.walk(address);
    assertEquals(
      walk.kind === "mapped" ? walk.frame : undefined,
      host.control.translate(domain.id, 0, address),
      `0x${address.toString(16)}: ${walk.kind}`,
    );
    if (walk.kind === "mapped") count++;
  }
  return count;
}

/** Checks of reading and of walking page tables. */
export const memoryChecks: readonly Check[] = [
  ["our walk agrees with Xen's for every page of the kernel", (context) => {
    const { start, end } = image(context);
    const pages = compareWalks(context, start, end);
    assertEquals(BigInt(pages), (end - start) / PAGE);
  }],

  ["our walk agrees with Xen's for pages of the direct map", (context) => {
    const { start, end } = directMap(context);
    const pages = compareWalks(context, start, end, SAMPLE * PAGE);
    assert(pages > 600, `only ${pages} pages`);
  }],

  ["our walk agrees with Xen's where nothing is mapped", (context) => {
    const { end } = image(context);
    // Present tables with empty entries; then tables that are missing
    for (const start of [end, 0xffffffffc0000000n, 0xffff8f0000000000n, 0n]) {
      assertEquals(compareWalks(context, start, start + 8n * PAGE), 0);
    }
  }],

  ["an address that is not canonical leads nowhere", ({ guest }) => {
    for (
      const address of [
        0x0000_8000_0000_0000n,
        0xffff_7fff_ffff_f000n,
        0x7fff_ffff_8010_1000n,
      ]
    ) {
      assertEquals(guest.walk(address), { kind: "non-canonical", steps: [] });
    }
  }],

  ["what is read is what the kernel file holds", ({ guest, profile }) => {
    assert(profile.regions.length >= 3);
    for (const { start, size, trusted } of profile.regions) {
      assertEquals(guest.read(start, size), new Uint8Array(trusted!));
      assertEquals(guest.compare(start, new Uint8Array(trusted!)), []);
      // Across a page's end, and neither aligned
      assertEquals(
        guest.read(start + 5n, size - 12),
        new Uint8Array(trusted!.slice(5, size - 7)),
      );
    }
  }],

  ["a page that differs in one byte is told", ({ guest, profile }) => {
    const { start, size, trusted } = profile.regions[0]!;
    const copy = new Uint8Array(trusted!);
    copy[size - 1] = copy[size - 1]! ^ 1;
    assertEquals(guest.compare(start, copy), [size / Number(PAGE) - 1]);
  }],

  ["every frame of the kernel has its second mapping", (context) => {
    const { guest, profile } = context;
    const frames = new Map<bigint, bigint>();
    for (const { start, size } of profile.regions) {
      guest.walks(start, size).forEach((walk, page) => {
        assert(walk.kind === "mapped");
        frames.set(walk.frame, start + BigInt(page) * PAGE);
      });
    }
    const { aliases, complete } = guest.aliases(new Set(frames.keys()));
    assert(complete);
    for (const [frame, address] of frames) {
      const addresses = aliases.filter((alias) => alias.frame === frame).map(
        (alias) => alias.address,
      );
      assertEquals(addresses.length, 2);
      assert(addresses.includes(address));
      const { start, end } = directMap(context);
      assert(addresses.some((alias) => alias >= start && alias < end));
    }
  }],

  ["the handlers and the root table are the kernel's own", (context) => {
    const { guest, profile, host, domain } = context;
    const [cpu, ...others] = guest.cpus;
    assertEquals(others, []);
    const fault = cpu!.traps.find(({ vector }) => vector === 14);
    assertEquals(fault?.address, profile.symbols.address("page_fault_entry"));
    const table = profile.symbols.address("swapper_pg_dir")!;
    assertEquals(
      guest.root,
      host.control.translate(domain.id, 0, table),
    );
  }],
];
