import { assert, assertEquals, assertThrows } from "@std/assert";
import { constants } from "./constants.ts";
import { XenError } from "./errors.ts";
import type { EventLoop } from "./event_loop.ts";
import type { XenHost } from "./host.ts";
import { PAGE_SIZE, vmEvent, vmEventRing } from "./layouts.ts";
import type { StoppedWrite } from "./protection.ts";
import { endWriteTrap, WriteTrap } from "./write_trap.ts";

const DOMAIN = { id: 7, maxVcpus: 2 };
const FD = 42;
const PORT = 30;
const SLOTS = 8;
const ESRCH = 3;
const ENODEV = 19;
const EINVAL = 22;
const FRAME = 0x1809n;
const DISCARD = constants.VM_EVENT_FLAG_EMULATE |
  constants.VM_EVENT_FLAG_EMULATE_NOWRITE;
const STEP = constants.VM_EVENT_FLAG_TOGGLE_SINGLESTEP;
const STEPPED = { reason: constants.VM_EVENT_REASON_SINGLESTEP };
const LISTENER = { stopped: () => {}, pauses: false };
const PAUSED = constants.VM_EVENT_FLAG_VCPU_PAUSED;

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What a virtual CPU was told: its number and the answer's flags. */
type Answer = readonly [vcpu: number, flags: number];

/** Xen's side of a ring: puts events on it, and takes answers when notified. */
class TrapHost {
  readonly calls: string[] = [];
  readonly answers: Answer[] = [];
  /** Calls that are refused, with their error numbers */
  readonly refused = new Map<string, number>();
  readonly host: XenHost;
  readonly loop: EventLoop;
  #readable: (() => void) | undefined;
  #ring = new DataView(new ArrayBuffer(PAGE_SIZE));
  #put = 0;
  #taken = 0;
  #pending = 0;
  #version: number;
  #size: number;

  constructor(release = "4.17.7") {
    [this.#version, this.#size] = release.startsWith("4.14")
      ? [6, vmEvent.sizes[0]]
      : [7, vmEvent.sizes[1]];
    const call = (name: string) => {
      this.calls.push(name);
      const error = this.refused.get(name);
      if (error !== undefined) throw new XenError(name, error);
    };
    this.loop = {
      add: (_fd: number, readable: () => void) => this.#readable = readable,
      remove: () => this.#readable = undefined,
    } as unknown as EventLoop;
    this.host = {
      libraries: {
        logger: null,
        evtchn: {
          symbols: {
            xenevtchn_open: () => Deno.UnsafePointer.create(1n),
            xenevtchn_close: () => {},
            xenevtchn_fd: () => FD,
            xenevtchn_bind_interdomain: () => PORT,
            xenevtchn_pending: () => this.#pending-- > 0 ? PORT : -1,
            xenevtchn_unmask: () => {},
            xenevtchn_notify: () => this.#takeAnswers(),
          },
        },
      },
      control: {
        xenVersion: () => release,
        enableMonitor: () => {
          call("enable");
          this.#ring = new DataView(new ArrayBuffer(PAGE_SIZE));
          this.#put = 0;
          this.#taken = 0;
          return {
            bytes: this.#ring.buffer,
            port: 1,
            [Symbol.dispose]: () => {},
          };
        },
        disableMonitor: () => call("disable"),
        tellSteps: () => call("tell steps"),
        endSteps: (_domain: number, vcpu: number) => call(`end ${vcpu}`),
        setAccess: (
          _domain: number,
          frames: readonly bigint[],
          access: string,
        ) => call(`${access} ${frames}`),
      },
    } as unknown as XenHost;
  }

  #takeAnswers(): void {
    while (this.#ring.getUint32(vmEventRing.rsp_prod, true) !== this.#taken) {
      const at = this.#entryAt(this.#taken++);
      const read = (field: number) => this.#ring.getUint32(at + field, true);
      assertEquals(read(vmEvent.version), this.#version);
      this.answers.push([read(vmEvent.vcpu_id), read(vmEvent.flags)]);
    }
  }

  #entryAt(index: number): number {
    return vmEventRing.ring + (index % SLOTS) * this.#size;
  }

  /** A virtual CPU does something that is told; no channel event yet. */
  put(
    vcpu: number,
    {
      reason = constants.VM_EVENT_REASON_MEM_ACCESS as number,
      frame = FRAME,
      access = constants.MEM_ACCESS_W as number,
    } = {},
  ): void {
    const at = this.#entryAt(this.#put);
    const set = (field: number, value: number) =>
      this.#ring.setUint32(at + field, value, true);
    set(vmEvent.version, this.#version);
    set(vmEvent.flags, PAUSED);
    set(vmEvent.reason, reason);
    set(vmEvent.vcpu_id, vcpu);
    set(vmEvent.access, access);
    this.#ring.setBigUint64(at + vmEvent.gfn, frame, true);
    this.#ring.setBigUint64(at + vmEvent.offset, 0x30n, true);
    this.#ring.setBigUint64(at + vmEvent.rip, 0xffff_ffff_8100_1234n, true);
    this.#ring.setUint32(vmEventRing.req_prod, ++this.#put, true);
  }

  /** The channel event for what is on the ring. */
  notify(): void {
    this.#pending = 1;
    this.#readable!();
  }
}

/** @param pauses Whether the listener does, once it is told */
function setUp(
  { release, pauses = false }: { release?: string; pauses?: boolean } = {},
) {
  const xen = new TrapHost(release);
  const told: StoppedWrite[] = [];
  const trap = new WriteTrap(
    xen.host,
    xen.loop,
    DOMAIN,
    { stopped: (write) => void told.push(write), pauses },
  );
  trap.close([FRAME]);
  return { xen, trap, told };
}

for (const release of ["4.14.6", "4.17.7", "4.22.0"]) {
  Deno.test(`a write is told and discarded, on Xen ${release}`, () => {
    const { xen, trap, told } = setUp({ release });
    using _trap = trap;
    // More than the ring has room for at once
    for (let round = 0; round < 20; round++) {
      xen.put(round % 2);
      xen.notify();
    }
    assertEquals(told.length, 20);
    assertEquals(told[1], {
      vcpu: 1,
      ip: 0xffff_ffff_8100_1234n,
      frame: FRAME,
      offset: 0x30,
    });
    assertEquals(
      xen.answers,
      Array.from({ length: 20 }, (_, round) => [round % 2, PAUSED | DISCARD]),
    );
  });
}

Deno.test("a listener that pauses is told when the instruction is finished", () => {
  const { xen, trap, told } = setUp({ pauses: true });
  using _trap = trap;
  assertEquals(xen.calls, ["enable", "tell steps", `r-x ${FRAME}`]);
  xen.put(0);
  xen.notify();
  assertEquals(told, []);
  // The next instruction writes too
  xen.put(0);
  xen.put(1);
  xen.notify();
  assertEquals(told, []);
  xen.put(0, STEPPED);
  xen.notify();
  assertEquals(told.map(({ vcpu }) => vcpu), [0, 0]);
  xen.put(1, STEPPED);
  xen.notify();
  assertEquals(told.map(({ vcpu }) => vcpu), [0, 0, 1]);
  assertEquals(xen.answers, [
    [0, PAUSED | DISCARD | STEP],
    [0, PAUSED | DISCARD],
    [1, PAUSED | DISCARD | STEP],
    [0, PAUSED | STEP],
    [1, PAUSED | STEP],
  ]);
});

Deno.test("an instruction that is not finished is told all the same, once", async () => {
  const { xen, trap, told } = setUp({ pauses: true });
  using _trap = trap;
  xen.put(0);
  xen.notify();
  await delay(100);
  assertEquals(told.length, 1);
  xen.put(0, STEPPED);
  xen.notify();
  assertEquals(told.length, 1);
  assertEquals(xen.answers.at(-1), [0, PAUSED | STEP]);
});

Deno.test("what one instruction writes without end is not kept without end", () => {
  const { xen, trap, told } = setUp({ pauses: true });
  using _trap = trap;
  for (let round = 0; round < 90; round++) {
    xen.put(0);
    xen.notify();
  }
  xen.put(0, STEPPED);
  xen.notify();
  assertEquals(told.length, 64);
});

Deno.test("the end lets a virtual CPU run freely that steps, and tells what it wrote", () => {
  const { xen, trap, told } = setUp({ pauses: true });
  xen.put(1);
  xen.notify();
  xen.calls.length = 0;
  trap[Symbol.dispose]();
  assertEquals(told.map(({ vcpu }) => vcpu), [1]);
  assertEquals(xen.calls, [
    `rwx ${FRAME}`,
    "disable",
    "end 1",
    "enable",
    "disable",
  ]);
});

Deno.test("a processor that cannot step has no ring left", () => {
  const xen = new TrapHost();
  xen.refused.set("tell steps", 95);
  assertThrows(
    () =>
      new WriteTrap(xen.host, xen.loop, DOMAIN, {
        stopped: () => {},
        pauses: true,
      }),
    XenError,
  );
  assertEquals(xen.calls, ["enable", "tell steps", "disable"]);
});

Deno.test("several events come with one event of the channel", () => {
  const { xen, trap, told } = setUp();
  using _trap = trap;
  xen.put(0);
  xen.put(1);
  xen.notify();
  assertEquals([told.length, xen.answers.length], [2, 2]);
  xen.notify();
  assertEquals(told.length, 2);
});

Deno.test("what is no write, or of another page, is let go on and not told", () => {
  const { xen, trap, told } = setUp();
  using _trap = trap;
  xen.put(0, { access: 1 });
  xen.put(0, { frame: FRAME + 1n });
  xen.put(1, { reason: 99 });
  xen.notify();
  assertEquals(told, []);
  assertEquals(xen.answers, [[0, PAUSED], [0, PAUSED], [1, PAUSED]]);
});

Deno.test("a guest that writes without end waits longer, and is answered in the end", async () => {
  const { xen, trap, told } = setUp();
  {
    using _trap = trap;
    for (let round = 0; round < 300; round++) {
      xen.put(0);
      xen.notify();
    }
    assert(told.length < 250, `${told.length}`);
    await delay(150);
    assertEquals(told.length, 300);
    xen.put(1);
    xen.notify();
  }
  assertEquals(
    xen.answers.filter(([_, flags]) => flags === (PAUSED | DISCARD)).length,
    301,
  );
});

Deno.test("the end opens the pages first, and leaves nobody waiting", () => {
  const { xen, trap } = setUp();
  // It came after the last channel event
  xen.put(1);
  xen.calls.length = 0;
  trap[Symbol.dispose]();
  assertEquals(xen.calls, [
    `rwx ${FRAME}`,
    "disable",
    "enable",
    "disable",
  ]);
  assertEquals(xen.answers, [
    [1, PAUSED | DISCARD],
    // What came between the last look and the ring's end
    [0, PAUSED],
    [1, PAUSED],
  ]);
});

Deno.test("the trap of a dead process is undone", () => {
  const xen = new TrapHost();
  endWriteTrap(xen.host, DOMAIN, [FRAME, 5n]);
  assertEquals(xen.calls, [
    `rwx ${FRAME},5`,
    "disable",
    "end 0",
    "end 1",
    "enable",
    "disable",
  ]);
  assertEquals(xen.answers, [[0, PAUSED], [1, PAUSED]]);
});

Deno.test("the trap of a dead process that had no ring yet, or of a guest that is gone, is nothing", () => {
  const xen = new TrapHost();
  xen.refused.set(`rwx ${FRAME}`, ENODEV);
  endWriteTrap(xen.host, DOMAIN, [FRAME]);
  for (const call of ["disable", "enable", "end 0", `rwx ${FRAME}`]) {
    xen.refused.set(call, ESRCH);
  }
  endWriteTrap(xen.host, DOMAIN, [FRAME]);
  xen.refused.set("disable", 1);
  assertThrows(() => endWriteTrap(xen.host, DOMAIN, [FRAME]), XenError);
});

Deno.test("a processor that cannot trap is told by Xen's error", () => {
  const xen = new TrapHost();
  xen.refused.set(`r-x ${FRAME}`, EINVAL);
  using trap = new WriteTrap(xen.host, xen.loop, DOMAIN, LISTENER);
  assertThrows(() => trap.close([FRAME]), XenError);
});

Deno.test("a guest of more virtual CPUs than the ring has room for is refused", () => {
  const xen = new TrapHost();
  assertThrows(
    () => new WriteTrap(xen.host, xen.loop, { id: 7, maxVcpus: 8 }, LISTENER),
    RangeError,
    "8 virtual CPUs",
  );
  assertEquals(xen.calls, []);
});
