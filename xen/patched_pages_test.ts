import { assert, assertEquals } from "@std/assert";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { hvmCpu, PAGE_SIZE } from "./layouts.ts";
import { PatchedPages } from "./patched_pages.ts";
import type { PlannedWrite } from "./protection.ts";
import { FakeClock } from "../detect/testing/fake_clock.ts";
import { MonitoredMachine } from "./testing/monitored_machine.ts";

const DOMAIN = 7;
const IP = 0xffff_ffff_8100_1234n;
const ESRCH = 3;
/** Where Linux maps the page for a moment: in the lower half */
const POKE = 0x5555_0000_1000n;
/** Where the code is */
const TEXT = 0xffff_ffff_8000_3000n;
const SOURCE = 0xffff_c900_0000_0000n;
const REP_MOVSB = [0xf3, 0xa4];
/** mov %al,(%rdi) */
const MOV_AL = [0x88, 0x07];
/** movnti %eax,(%rdi): none that is understood */
const MOVNTI = [0x0f, 0xc3, 0x07];
const CALL = [0xe8, 1, 2, 3, 4];

/** Stands in for `setTimeout` until it is disposed of. */
class Timers implements Disposable {
  #real = { setTimeout, clearTimeout };
  #callbacks = new Map<number, () => void>();
  #next = 1;

  constructor() {
    Object.assign(globalThis, {
      setTimeout: (callback: () => void) => {
        this.#callbacks.set(this.#next, callback);
        return this.#next++;
      },
      clearTimeout: (timer: number) => void this.#callbacks.delete(timer),
    });
  }

  /** Those that wait. */
  get count(): number {
    return this.#callbacks.size;
  }

  /** Their time has come. */
  fire(): void {
    for (const [timer, callback] of [...this.#callbacks]) {
      this.#callbacks.delete(timer);
      callback();
    }
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, this.#real);
  }
}

/** Two pages of code, which a virtual CPU is about to write to. */
function setUp(code: readonly number[] = REP_MOVSB) {
  const stack = new DisposableStack();
  const monitored = stack.use(new MonitoredMachine());
  const { machine, root, xen, host, set, walk, written } = monitored;
  const frames = [0n, 1n].map((page) => {
    const frame = machine.map(root, POKE + page * 4096n);
    machine.map(root, TEXT + page * 4096n, { frame });
    return frame;
  }) as [bigint, bigint];
  set(hvmCpu.rip, IP);
  const source = { bytes: CALL as readonly number[], isGone: false };
  const asked: PlannedWrite[] = [];
  const weakened: unknown[] = [];
  const verdict = { may: true, before: () => {} };
  const pages = new PatchedPages(host, DOMAIN, {
    stopped: () => {},
    pauses: false,
    mayPatch: (write) => {
      asked.push(write);
      verdict.before();
      return verdict.may;
    },
    weakened: (...told) => void weakened.push(told),
  }, {
    readThrough: (_root, address, length) => {
      const isSource = address === SOURCE;
      if (isSource && source.isGone) {
        throw new UnreadableMemoryError(address, "not-present");
      }
      return Uint8Array.from({ ...(isSource ? source.bytes : code), length });
    },
    walk,
  });
  stack.defer(() => pages.ended());
  const known = new Map(
    frames.map((frame, page) => [frame, TEXT + BigInt(page) * 4096n]),
  );
  pages.closed(known);
  /** The guest writes; it says where, and Xen where the first byte lies. */
  const write = (
    bytes: readonly number[],
    address: bigint,
    seen = address,
    inWalk = false,
  ) => {
    source.bytes = bytes;
    set(hvmCpu.rsi, SOURCE);
    set(hvmCpu.rdi, address);
    set(hvmCpu.rcx, BigInt(bytes.length));
    set(hvmCpu.rax, BigInt(bytes[0]!));
    const page = seen - seen % BigInt(PAGE_SIZE);
    const second = page === POKE + 4096n || page === TEXT + 4096n;
    return pages.judge({
      vcpu: 0,
      ip: IP,
      kind: "memory",
      frame: frames[second ? 1 : 0],
      offset: Number(seen - page),
      writes: true,
      address: seen,
      inWalk,
    });
  };
  return {
    ...{ machine, root, frames, known, xen, pages, write },
    ...{ asked, weakened, verdict, written, source },
    [Symbol.dispose]: () => stack[Symbol.dispose](),
  };
}

Deno.test("what the kernel may write lands, and the instruction passes with nothing written", () => {
  using setting = setUp();
  const { machine, frames, asked, written, write } = setting;
  assertEquals(write(CALL, POKE + 0x30n), "discard");
  assertEquals(asked, [{
    address: TEXT + 0x30n,
    data: Uint8Array.from(CALL),
  }]);
  // A live migration has to send it again
  assertEquals(written, [frames[0]]);
  assertEquals([...machine.bytes(frames[0]).slice(0x2f, 0x36)], [
    0,
    ...CALL,
    0,
  ]);
});

Deno.test("a breakpoint that a register holds lands as well", () => {
  using setting = setUp(MOV_AL);
  const { machine, frames, write } = setting;
  assertEquals(write([0xcc], POKE), "discard");
  assertEquals(machine.bytes(frames[0])[0], 0xcc);
});

Deno.test("a write that goes on on the next page is judged and lands on both", () => {
  using setting = setUp();
  const { machine, frames, asked, write } = setting;
  assertEquals(write(CALL, POKE + 4094n), "discard");
  assertEquals(asked.map(({ address, data }) => [address, ...data]), [
    [TEXT + 4094n, 0xe8, 1],
    [TEXT + 4096n, 2, 3, 4],
  ]);
  assertEquals([...machine.bytes(frames[1]).slice(0, 4)], [2, 3, 4, 0]);
});

Deno.test("what the kernel may not write is to be stopped, and does not land", () => {
  using setting = setUp();
  const { machine, frames, verdict, write } = setting;
  verdict.may = false;
  assertEquals(write(CALL, POKE), {
    frame: frames[0],
    offset: 0,
    data: Uint8Array.from(CALL),
  });
  assertEquals(machine.bytes(frames[0])[0], 0);
});

Deno.test("who writes by another way than the kernel's is not asked what", () => {
  using setting = setUp();
  const { asked, write, weakened } = setting;
  assertEquals(write(CALL, TEXT), undefined);
  assertEquals([asked, weakened], [[], []]);
});

Deno.test("an instruction that no kernel is known to use opens the pages, and is told each time", () => {
  using timers = new Timers();
  using setting = setUp(MOVNTI);
  const { xen, frames, weakened, write } = setting;
  const told = [
    "text",
    "the instruction at 0xffffffff81001234 writes in a way that is not known " +
    "of kernels, for 10 s",
  ];
  assertEquals(write(CALL, POKE), "go on");
  // Whoever writes
  assertEquals(write(CALL, TEXT), "go on");
  assertEquals(xen.calls, [`rwx ${frames}`]);
  assertEquals(weakened, [told]);
  timers.fire();
  assertEquals(xen.calls.at(-1), `r-x ${frames}`);
  assertEquals(write(CALL, TEXT), undefined);
  assertEquals(write(CALL, POKE), "go on");
  assertEquals(weakened, [told, told]);
});

Deno.test("what does not go to the pages alone, or cannot be read, is to be stopped", () => {
  for (
    const place of [
      "another byte",
      "another page",
      "a page of data",
      "a source that is gone",
      "a walk of the processor",
    ]
  ) {
    using setting = setUp();
    const { machine, root, frames, weakened, write } = setting;
    let verdict: unknown = "none";
    if (place === "another byte") verdict = write(CALL, POKE, POKE + 1n);
    if (place === "another page") {
      machine.map(root, POKE, { frame: frames[1] });
      verdict = write(CALL, POKE);
    }
    if (place === "a page of data") {
      machine.map(root, POKE + 4096n);
      verdict = write(CALL, POKE + 4094n);
    }
    if (place === "a source that is gone") {
      setting.source.isGone = true;
      verdict = write(CALL, POKE);
    }
    if (place === "a walk of the processor") {
      verdict = write(CALL, POKE, POKE, true);
    }
    assertEquals([verdict, weakened], [undefined, []], place);
    assertEquals(machine.bytes(frames[0])[0], 0);
  }
});

Deno.test("a kernel that changes much of its code has it open for some seconds, which is told once", () => {
  using timers = new Timers();
  using setting = setUp();
  const { xen, frames, known, pages, weakened, write } = setting;
  const writeMuch = () => {
    // A second may end meanwhile
    for (let writes = 0; writes < 200; writes++) {
      if (write(CALL, POKE) === "go on") return writes;
    }
  };
  const writes = writeMuch()!;
  assert(writes >= 50 && writes < 110, `${writes}`);
  assertEquals(xen.calls, [`rwx ${frames}`]);
  timers.fire();
  assertEquals(xen.calls, [`rwx ${frames}`, `r-x ${frames}`]);
  assertEquals(write(CALL, TEXT), undefined);
  assert(writeMuch() !== undefined);
  assertEquals(weakened.length, 1);
  // Who closes them anew is obeyed at once
  pages.closed(known);
  assertEquals(timers.count, 0);
  assertEquals(write(CALL, TEXT), undefined);
});

Deno.test("a kernel that waits for long has its code open as well", () => {
  using timers = new Timers();
  using clock = new FakeClock();
  using setting = setUp();
  const { verdict, weakened, write } = setting;
  verdict.before = () => clock.pass(240);
  assertEquals(write(CALL, POKE), "discard");
  assertEquals(write(CALL, POKE), "discard");
  clock.pass(1000);
  assertEquals(write(CALL, POKE), "discard");
  assertEquals(write(CALL, POKE), "discard");
  assertEquals(write(CALL, POKE), "go on");
  assertEquals([weakened.length, timers.count], [1, 1]);
});

Deno.test("pages that stay open are told, but not those of a guest that is gone", () => {
  for (const [error, tells] of [[12, 2], [ESRCH, 1]] as const) {
    using timers = new Timers();
    using setting = setUp(MOVNTI);
    const { xen, frames, weakened, write } = setting;
    write(CALL, POKE);
    xen.refused.set(`r-x ${frames}`, error);
    timers.fire();
    assertEquals(weakened.length, tells);
  }
});

Deno.test("nothing is closed any more once it has ended", () => {
  using timers = new Timers();
  using setting = setUp(MOVNTI);
  setting.write(CALL, POKE);
  setting.pages.ended();
  assertEquals(timers.count, 0);
});

Deno.test("a frame that is gone in that moment is left alone, and so is a guest", () => {
  using timers = new Timers();
  {
    using setting = setUp();
    setting.machine.refused.add(setting.frames[0]);
    assertEquals(setting.write(CALL, POKE), "go on");
  }
  using setting = setUp(MOVNTI);
  const { xen, frames, write } = setting;
  xen.refused.set(`rwx ${frames}`, ESRCH);
  assertEquals(write(CALL, POKE), "go on");
  assertEquals(timers.count, 1);
});
