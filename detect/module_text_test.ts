import { assertEquals } from "@std/assert";
import type { LoadedCode } from "../guestos/profile.ts";
import { SymbolTable } from "../guestos/symbol_table.ts";
import type { Finding } from "./finding.ts";
import { ModuleText } from "./module_text.ts";
import { KernelGuest } from "./testing/kernel_guest.ts";

const MODULE = 0xffff_ffff_c000_0000n;
const OTHER = 0xffff_ffff_c001_0000n;
const SIZE = 2 * 4096;

function setUp() {
  const guest = new KernelGuest();
  for (const address of [MODULE, OTHER]) {
    guest.mapAs(address, new Uint8Array(SIZE).fill(0x90), { executable: true });
  }
  const loaded: LoadedCode[] = [];
  /** What happens when the list has been read */
  const meanwhile: (() => void)[] = [];
  const text = new ModuleText(guest, new SymbolTable([]), () => {
    const now = [...loaded];
    meanwhile.shift()?.();
    return now;
  });
  const look = () =>
    [...text.check()].map((told) =>
      "reason" in told
        ? `unreadable ${told.address?.toString(16)}`
        : "by" in told
        ? `${told.by} ${told.places}`
        : `${told.rule.id} ${told.what} ${told.address.toString(16)}`
    );
  return { guest, loaded, meanwhile, text, look };
}

function lab(parts: Partial<LoadedCode> = {}): LoadedCode {
  return { name: "module lab", start: MODULE, size: SIZE, ...parts };
}

const CHANGED = `XK-014 module lab ${(MODULE + 0x1010n).toString(16)}`;

Deno.test("a module that stays what it was gives no finding", () => {
  const { loaded, look } = setUp();
  assertEquals(look(), []);
  loaded.push(lab());
  assertEquals([look(), look()], [[], []]);
});

Deno.test("code that is changed after it was first seen is told", () => {
  const { guest, loaded, look } = setUp();
  loaded.push(lab());
  // What was there at first is trusted
  guest.write(MODULE, [0xe9]);
  assertEquals(look(), []);
  guest.write(MODULE + 0x1010n, [0xe9]);
  assertEquals([look(), look()], [[CHANGED], [CHANGED]]);
  guest.write(MODULE + 0x1010n, [0x90]);
  assertEquals(look(), []);
});

Deno.test("a module that goes is not looked at any more, and is new when it comes again", () => {
  const { guest, loaded, look } = setUp();
  loaded.push(lab());
  look();
  loaded.length = 0;
  guest.write(MODULE + 0x1010n, [0xe9]);
  assertEquals(look(), []);
  guest.unmap(MODULE);
  assertEquals(look(), []);
  guest.mapAs(MODULE, new Uint8Array(4096).fill(0x55));
  loaded.push(lab());
  assertEquals(look(), []);
  guest.write(MODULE, [0xe9]);
  assertEquals(look(), [`XK-014 module lab ${MODULE.toString(16)}`]);
});

Deno.test("what is read of a module that goes meanwhile tells nothing", () => {
  const { guest, loaded, meanwhile, look } = setUp();
  loaded.push(lab());
  look();
  meanwhile.push(() => {
    loaded.length = 0;
    guest.write(MODULE + 0x1010n, [0xe9]);
  });
  assertEquals(look(), []);
  loaded.push(lab());
  assertEquals(look(), []);
  meanwhile.push(() => {
    loaded.length = 0;
    guest.unmap(MODULE);
    guest.unmap(MODULE + 0x1000n);
  });
  assertEquals(look(), []);
});

Deno.test("a module that stays is told of, whatever else goes meanwhile", () => {
  const { guest, loaded, meanwhile, look } = setUp();
  loaded.push(lab(), lab({ name: "module xfs", start: OTHER }));
  look();
  meanwhile.push(() => {
    loaded.pop();
    guest.write(MODULE + 0x1010n, [0xe9]);
    guest.write(OTHER, [0xe9]);
  });
  assertEquals(look(), [CHANGED]);
});

Deno.test("a module that comes back elsewhere or with another size is another one", () => {
  const { guest, loaded, look } = setUp();
  loaded.push(lab());
  look();
  guest.write(OTHER, [0x11]);
  loaded[0] = lab({ start: OTHER });
  assertEquals(look(), []);
  guest.write(OTHER, [0x22]);
  assertEquals(look(), [`XK-014 module lab ${OTHER.toString(16)}`]);
  loaded[0] = lab({ start: OTHER, size: 4096 });
  assertEquals(look(), []);
});

Deno.test("code that cannot be read is told when three looks in a row could not", () => {
  const { guest, loaded, look } = setUp();
  loaded.push(lab());
  const entry = guest.entry(MODULE);
  for (const readable of [false, false, true]) {
    guest.setEntry(MODULE, readable ? entry : 0n);
    assertEquals(look(), []);
  }
  loaded[0] = lab({ name: "module other" });
  guest.unmap(MODULE);
  assertEquals([look(), look()], [[], []]);
  loaded.length = 0;
  assertEquals(look(), []);
  loaded.push(lab({ name: "module other" }));
  assertEquals([look(), look()], [[], []]);
  assertEquals(look(), [`unreadable ${MODULE.toString(16)}`]);
});

Deno.test("two modules are told each by its name", () => {
  const { guest, loaded, look } = setUp();
  loaded.push(lab(), lab({ name: "module xfs", start: OTHER }));
  look();
  guest.write(OTHER + 8n, [0xe9]);
  guest.write(MODULE + 0x1010n, [0xe9]);
  assertEquals(look(), [
    CHANGED,
    `XK-014 module xfs ${(OTHER + 8n).toString(16)}`,
  ]);
});

Deno.test("code that cannot be read is told, and hides no other", () => {
  const { guest, loaded, look } = setUp();
  loaded.push(lab(), lab({ name: "module xfs", start: OTHER }));
  const entry = guest.entry(MODULE);
  guest.unmap(MODULE);
  // One that goes is unmapped before it is off the list
  assertEquals([look(), look()], [[], []]);
  assertEquals(look(), [`unreadable ${MODULE.toString(16)}`]);
  guest.write(OTHER, [0xe9]);
  assertEquals(look(), [
    `unreadable ${MODULE.toString(16)}`,
    `XK-014 module xfs ${OTHER.toString(16)}`,
  ]);
  // It is first seen when it can be read
  guest.setEntry(MODULE, entry);
  guest.write(OTHER, [0x90]);
  assertEquals(look(), []);
  guest.write(MODULE + 0x1010n, [0xe9]);
  assertEquals(look(), [CHANGED]);
  // What was seen stays trusted while it cannot be read
  guest.unmap(MODULE);
  assertEquals(look(), [`${CHANGED}`, `unreadable ${MODULE.toString(16)}`]);
});

Deno.test("where the module's own tables tell what must be there, that is trusted", () => {
  const { guest, loaded, look } = setUp();
  guest.write(MODULE + 0x1010n, [0xe9]);
  loaded.push(lab({
    trust(found) {
      const trusted = found.slice();
      trusted[0x1010] = 0x90;
      return { bytes: trusted };
    },
  }));
  assertEquals(look(), [CHANGED]);
});

Deno.test("code of which only the first reading is known is told at each look, and watched", () => {
  const { guest, loaded, look } = setUp();
  loaded.push(lab({
    trust: (found) => ({ bytes: found.slice(), doubt: "there is no file" }),
  }));
  const doubt = `unreadable ${MODULE.toString(16)}`;
  assertEquals(look(), [doubt]);
  guest.write(MODULE + 0x1010n, [0xe9]);
  assertEquals(look(), [doubt, CHANGED]);
});

Deno.test("what the kernel changes itself is no finding, and a hook is told", () => {
  const { guest, loaded, look } = setUp();
  loaded.push(lab({
    living: {
      judge(start, read) {
        const [byte] = read(start, 1);
        return {
          start,
          size: 1,
          state: byte === 0xcc
            ? { kind: "instrumented", by: "kprobe lab" }
            : byte === 0x66
            ? { kind: "own" }
            : { kind: "foreign", summary: "kernel code was changed" },
        };
      },
    },
  }));
  look();
  guest.write(MODULE, [0x66]);
  assertEquals(look(), []);
  guest.write(MODULE + 0x100n, [0xcc]);
  guest.write(MODULE + 0x200n, [0xcc]);
  assertEquals(look(), ["kprobe lab 2"]);
  guest.write(MODULE + 0x1010n, [0xe9]);
  assertEquals(look(), [CHANGED, "kprobe lab 2"]);
});

Deno.test("code of a module is put back, and only of the one that was changed", () => {
  const { guest, loaded, text, look } = setUp();
  loaded.push(lab(), lab({ name: "module other", start: OTHER }));
  look();
  guest.write(MODULE + 0x1010n, [0xe9]);
  const [told] = [...text.check()];
  guest.write(OTHER, [0xe9]);
  text.remedy(told as Finding)!(guest);
  assertEquals(look(), [`XK-014 module other ${OTHER.toString(16)}`]);
});
