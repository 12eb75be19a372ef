import { assertEquals } from "@std/assert";
import { SymbolTable } from "../guestos/symbol_table.ts";
import { DescriptorTables } from "./descriptor_tables.ts";
import { SettledCpus } from "./settled_cpus.ts";
import { FakeClock } from "./testing/fake_clock.ts";
import { hvmCpu } from "./testing/hvm_cpu.ts";
import { KernelGuest } from "./testing/kernel_guest.ts";

/** Where processors see the interrupt table, and where the kernel has it */
const IDT = 0xffff_fe00_0000_0000n;
const OWN_IDT = 0xffff_ffff_8280_0000n;
const GDT = 0xffff_fe00_0000_1000n;
const ALIAS = 0xffff_8880_0000_5000n;
const OTHER = 0xffff_8880_0000_0000n;
const TABLES = {
  idt: { base: IDT, limit: 0xfff },
  gdt: { base: GDT, limit: 0x7f },
} as const;

function setUp({ knowsIdt = true } = {}) {
  const guest = new KernelGuest();
  guest.mapAs(OWN_IDT, new Uint8Array(4096));
  guest.mapFrame(IDT, guest.frame(OWN_IDT), false);
  guest.mapAs(GDT, Uint8Array.from({ length: 4096 }, (_, at) => at));
  guest.mapAs(OTHER, guest.read(GDT, 4096));
  guest.setCpus([hvmCpu(TABLES)]);
  const symbols = new SymbolTable([
    { name: "idt_table", address: OWN_IDT, size: 4096 },
  ]);
  const online = new Set([0, 1]);
  const tables = new DescriptorTables(
    guest,
    new SettledCpus(guest, (vcpu) => online.has(vcpu)),
    { symbols, ...(knowsIdt ? { idt: OWN_IDT } : {}) },
  );
  const look = () =>
    [...tables.check()].map((told) =>
      "reason" in told
        ? `unreadable: ${told.reason}`
        : "summary" in told
        ? told.summary
        : told.by
    );
  return { guest, tables, look, online };
}

Deno.test("tables that stay as they were give no finding", () => {
  const { look } = setUp();
  assertEquals([look(), look()], [[], []]);
});

Deno.test("a register that leads to another table is told, also where that has the same contents", () => {
  const { guest, look } = setUp();
  look();
  guest.setCpus([hvmCpu({ ...TABLES, gdt: { base: OTHER, limit: 0x7f } })]);
  assertEquals(look(), [
    "GDTR of vCPU 0 was changed from 0xfffffe0000001000 to 0xffff888000000000",
  ]);
  guest.setCpus([hvmCpu({ ...TABLES, gdt: { base: GDT, limit: 0x6f } })]);
  assertEquals(look().length, 1);
});

Deno.test("another mapping of the same table is no other table", () => {
  const { guest, look } = setUp();
  look();
  guest.mapFrame(ALIAS, guest.frame(GDT), true);
  guest.setCpus([hvmCpu({ ...TABLES, gdt: { base: ALIAS, limit: 0x7f } })]);
  assertEquals(look(), []);
  // What it holds is still judged
  guest.write(ALIAS + 8n, [0xee]);
  assertEquals(look(), ["global descriptor 1 of vCPU 0 was changed"]);
  for (
    const gdt of [{ base: ALIAS, limit: 0xff }, {
      base: ALIAS + 8n,
      limit: 0x7f,
    }]
  ) {
    guest.setCpus([hvmCpu({ ...TABLES, gdt })]);
    assertEquals(
      look()[0],
      "GDTR of vCPU 0 was changed from 0xfffffe0000001000 to 0x" +
        gdt.base.toString(16),
    );
  }
});

Deno.test("a register that leads nowhere is told, and so is what it hides", () => {
  const { guest, look } = setUp();
  look();
  guest.setCpus([hvmCpu({ ...TABLES, gdt: { base: ALIAS, limit: 0x7f } })]);
  assertEquals(look(), [
    "GDTR of vCPU 0 was changed from 0xfffffe0000001000 to 0xffff888000005000",
    "unreadable: not-present",
  ]);
});

Deno.test("another interrupt table is told by its register and by its frame", () => {
  const { guest, look } = setUp();
  look();
  guest.setCpus([hvmCpu({ ...TABLES, idt: { base: OTHER, limit: 0xfff } })]);
  assertEquals(look(), [
    "IDTR of vCPU 0 was changed from 0xfffffe0000000000 to 0xffff888000000000",
    "vCPU 0 uses another interrupt table than the kernel's own",
  ]);
});

Deno.test("an interrupt table that is not the kernel's is told, though it was so when xkmon armed", () => {
  const { guest, look } = setUp();
  guest.mapFrame(IDT, guest.frame(OTHER), false);
  assertEquals(look(), [
    "vCPU 0 uses another interrupt table than the kernel's own",
  ]);
  const unknown = setUp({ knowsIdt: false });
  unknown.guest.mapFrame(IDT, unknown.guest.frame(OTHER), false);
  assertEquals(unknown.look(), []);
});

Deno.test("a global descriptor that is changed is told, with what it was", () => {
  const { guest, tables, look } = setUp();
  look();
  guest.write(GDT + 2n * 8n + 5n, [0xfa]);
  guest.write(GDT + 15n * 8n, [0xee]);
  assertEquals(look(), [
    "global descriptor 2 of vCPU 0 was changed",
    "global descriptor 15 of vCPU 0 was changed",
  ]);
  const [told] = tables.check();
  assertEquals(
    told !== undefined && "found" in told
      ? [told.address, told.expected?.toHex(), told.found?.toHex(), told.key]
      : [],
    [
      GDT + 16n,
      "1011121314151617",
      "1011121314fa1617",
      "XK-011 0 GDT 2 1011121314fa1617",
    ],
  );
});

Deno.test("descriptors of tasks may change, and a task state may be busy", () => {
  const { guest, look } = setUp();
  look();
  guest.write(GDT + 10n * 8n, Array(5 * 8).fill(0x77));
  const busy = guest.read(GDT + 8n * 8n + 5n, 1)[0]! ^ 2;
  guest.write(GDT + 8n * 8n + 5n, [busy]);
  assertEquals(look(), []);
  // Its other bits may not, nor those beside
  guest.write(GDT + 8n * 8n + 5n, [busy ^ 1]);
  guest.write(GDT + 9n * 8n, [0x77]);
  assertEquals(look(), [
    "global descriptor 8 of vCPU 0 was changed",
    "global descriptor 9 of vCPU 0 was changed",
  ]);
});

Deno.test("what lies behind the table is no descriptor", () => {
  const { guest, look } = setUp();
  look();
  guest.write(GDT + 0x80n, [0xee]);
  assertEquals(look(), []);
});

Deno.test("each virtual CPU has tables of its own", () => {
  const { guest, look } = setUp();
  guest.setCpus([
    hvmCpu(TABLES),
    hvmCpu({ ...TABLES, vcpu: 1, gdt: { base: OTHER, limit: 0x7f } }),
  ]);
  assertEquals(look(), []);
  guest.write(OTHER, [0xee]);
  assertEquals(look(), ["global descriptor 0 of vCPU 1 was changed"]);
});

Deno.test("a table that cannot be read is told, and hides no other virtual CPU", () => {
  const { guest, look } = setUp();
  guest.setCpus([
    hvmCpu(TABLES),
    hvmCpu({ ...TABLES, vcpu: 1, gdt: { base: OTHER, limit: 0x7f } }),
  ]);
  look();
  guest.write(OTHER, [0xee]);
  guest.unmap(GDT);
  assertEquals(look(), [
    "unreadable: not-present",
    "global descriptor 0 of vCPU 1 was changed",
  ]);
});

Deno.test("an absurd limit reads no more than a table can have", () => {
  const { guest, look } = setUp();
  const read = guest.read.bind(guest);
  const lengths: number[] = [];
  guest.read = (address, length) => {
    lengths.push(length);
    return read(address, length);
  };
  guest.setCpus([
    hvmCpu({ ...TABLES, gdt: { base: GDT, limit: 0xffff_ffff } }),
  ]);
  assertEquals(look(), ["unreadable: not-present"]);
  assertEquals(Math.max(...lengths), 0x1_0000);
});

Deno.test("processors whose tables are not known, and PV ones, are not judged", () => {
  const { guest, tables } = setUp();
  guest.setCpus([hvmCpu(), ...new KernelGuest().cpus]);
  assertEquals([...tables.check()], []);
});

/** Judges a load on virtual CPU 0, after the first look. */
function setUpLoads() {
  const settings = setUp();
  settings.look();
  const judge = (
    register: "idt" | "gdt",
    base: bigint,
    limit: number,
    vcpu = 0,
  ) =>
    settings.tables.judgeLoad({
      vcpu,
      ip: OWN_IDT + 8n,
      register,
      value: { base, limit },
    });
  return { ...settings, judge };
}

Deno.test("the load of another table is told with all that it says", () => {
  const { judge } = setUpLoads();
  const finding = judge("idt", OTHER, 0xfff);
  assertEquals(
    [
      finding?.rule.id,
      finding?.seen,
      finding?.what,
      finding?.address,
      finding?.ipSymbol,
      finding?.expected?.toHex(),
      finding?.attempted?.toHex(),
      finding?.summary,
    ],
    [
      "XK-011",
      "stop",
      "IDTR of vCPU 0",
      OTHER,
      "idt_table+0x8",
      "0000000000feffff",
      "000000008088ffff",
      "IDTR of vCPU 0 was to be changed to 0xffff888000000000, and is not",
    ],
  );
  assertEquals(judge("gdt", OTHER, 0x7f)?.what, "GDTR of vCPU 0");
});

Deno.test("a table of another length is another one", () => {
  const { judge } = setUpLoads();
  assertEquals(judge("idt", IDT, 0xffff)?.rule.id, "XK-011");
  assertEquals(judge("gdt", GDT, 0xff)?.rule.id, "XK-011");
});

Deno.test("the tables that a processor had may be loaded again, by another mapping too", () => {
  const { guest, judge } = setUpLoads();
  assertEquals(judge("idt", IDT, 0xfff), undefined);
  assertEquals(judge("gdt", GDT, 0x7f), undefined);
  guest.mapFrame(ALIAS, guest.frame(GDT), true);
  assertEquals(judge("gdt", ALIAS, 0x7f), undefined);
  assertEquals(judge("gdt", ALIAS + 0x1000n, 0x7f)?.rule.id, "XK-011");
  // Of an interrupt table there is one mapping
  guest.mapFrame(ALIAS, guest.frame(IDT), true);
  assertEquals(judge("idt", ALIAS, 0xfff)?.rule.id, "XK-011");
});

Deno.test("a table without a gate may be loaded: it leads nowhere, and the machine resets itself", () => {
  const { judge } = setUpLoads();
  assertEquals(judge("idt", 0n, 0), undefined);
  assertEquals(judge("idt", OTHER, 14), undefined);
  assertEquals(judge("idt", OTHER, 15)?.rule.id, "XK-011");
});

Deno.test("a processor that comes up loads what it needs", () => {
  const { judge, online } = setUpLoads();
  // Never seen
  assertEquals(judge("idt", OTHER, 0xfff, 1), undefined);
  // Seen before, and down since
  online.delete(0);
  assertEquals(judge("idt", OTHER, 0xfff), undefined);
  online.add(0);
  assertEquals(judge("idt", OTHER, 0xfff)?.rule.id, "XK-011");
});

Deno.test("a processor that says for too long that it comes up is not believed", () => {
  using clock = new FakeClock();
  const { judge, online } = setUpLoads();
  online.delete(0);
  assertEquals(judge("idt", OTHER, 0xfff), undefined);
  clock.pass(31_000);
  assertEquals(judge("idt", OTHER, 0xfff)?.rule.id, "XK-011");
});
