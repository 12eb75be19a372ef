import { assert, assertEquals, assertThrows } from "@std/assert";
import { constants } from "./constants.ts";
import { XenError } from "./errors.ts";
import { endWriteGate } from "./end_write_gate.ts";
import type { XenHost } from "./host.ts";
import { ioreq, ioreqBits, PAGE_SIZE } from "./layouts.ts";
import type { GatedWrite } from "./gate_requests.ts";
import { ManualLoop } from "./testing/manual_loop.ts";
import type { PausedGuest } from "./drop_waiting_writes.ts";
import { WriteGate } from "./write_gate.ts";

const DOMAIN = { id: 7, maxVcpus: 2 };
const SERVER = 3;
const FD = 42;
const EINVAL = 22;
/** Ports of the guest's virtual CPUs, and what they are bound to */
const REMOTE = 20;
const LOCAL = 30;

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Xen's side of a write gate: the page of requests, and the event channels. */
class GateHost {
  readonly page = new DataView(new ArrayBuffer(PAGE_SIZE));
  readonly calls: string[] = [];
  /** Calls that are refused */
  readonly refused = new Set<string>();
  readonly host: XenHost;
  #loop = new ManualLoop();
  readonly loop = this.#loop.loop;
  #pending: number[] = [];
  /** Whether the guest can run if it is let run */
  canRun = true;
  /** How often a virtual CPU writes again as soon as it may go on */
  writesAgain = 0;

  constructor() {
    for (let vcpu = 0; vcpu < DOMAIN.maxVcpus; vcpu++) {
      const at = vcpu * ioreq.size + ioreq.vp_eport;
      this.page.setUint32(at, REMOTE + vcpu, true);
    }
    const call = (name: string) => {
      this.calls.push(name);
      if (this.refused.has(name)) throw new XenError(name, EINVAL);
    };
    this.host = {
      libraries: {
        logger: null,
        libc: {
          symbols: {
            __errno_location: () =>
              Deno.UnsafePointer.of(new Int32Array([EINVAL])),
          },
        },
        evtchn: {
          symbols: {
            xenevtchn_open: () => Deno.UnsafePointer.create(1n),
            xenevtchn_close: () => call("close channels"),
            xenevtchn_fd: () => FD,
            xenevtchn_bind_interdomain: (
              _handle: unknown,
              _domain: number,
              remote: number,
            ) => {
              if (!this.refused.has(`bind ${remote}`)) {
                return remote - REMOTE + LOCAL;
              }
              this.calls.push(`bind ${remote}`);
              return -1;
            },
            xenevtchn_pending: () => this.#pending.shift() ?? -1,
            xenevtchn_unmask: (_handle: unknown, port: number) =>
              call(`unmask ${port}`),
            xenevtchn_notify: (_handle: unknown, port: number) =>
              call(`notify ${port}`),
          },
        },
      },
      frames: {
        mapRequests: () => ({
          bytes: this.page.buffer,
          [Symbol.dispose]: () => call("unmap"),
        }),
      },
      deviceModel: {
        createServer: () => {
          call("create");
          return SERVER;
        },
        enableServer: () => call("enable"),
        claimGated: (_domain: number, server: number, claim: boolean) =>
          call(`${claim ? "claim" : "disclaim"} ${server}`),
        destroyServer: (_domain: number, server: number) =>
          call(`destroy ${server}`),
        setMemoryType: (
          _domain: number,
          frames: readonly bigint[],
          type: string,
        ) => call(`${type} ${frames}`),
      },
    } as unknown as XenHost;
  }

  /** The guest, paused for the gate's end. */
  paused(wasPaused: boolean): PausedGuest {
    return {
      wasPaused,
      letRun: (work) => {
        this.calls.push("run");
        if (this.canRun) this.#run();
        work();
        this.calls.push("stop");
      },
    };
  }

  /** Virtual CPUs take their answers, as Xen has them do when they may run. */
  #run(): void {
    for (let vcpu = 0; vcpu < DOMAIN.maxVcpus; vcpu++) {
      if (this.bits(vcpu) !== constants.STATE_IORESP_READY) continue;
      const again = this.writesAgain-- > 0;
      this.request(vcpu, { bits: again ? constants.STATE_IOREQ_READY : 0 });
    }
  }

  /** A virtual CPU asks the server: for memory, if it does not say for what. */
  request(
    vcpu: number,
    fields: Partial<Record<keyof typeof ioreq, number | bigint>>,
  ): void {
    const at = vcpu * ioreq.size;
    const request = { type: constants.IOREQ_TYPE_COPY, ...fields };
    for (const [name, value] of Object.entries(request)) {
      const place = at + ioreq[name as keyof typeof ioreq];
      if (name === "bits" || name === "type") {
        this.page.setUint8(place, Number(value));
      } else if (typeof value === "bigint") {
        this.page.setBigUint64(place, value, true);
      } else this.page.setUint32(place, value!, true);
    }
  }

  /** The same, and its event arrives. */
  access(...request: Parameters<GateHost["request"]>): void {
    this.request(...request);
    this.#pending.push(LOCAL + request[0]);
    this.#loop.notify();
  }

  bits(vcpu: number): number {
    return this.page.getUint8(vcpu * ioreq.size + ioreq.bits);
  }
}

function setUp() {
  const xen = new GateHost();
  const writes: GatedWrite[] = [];
  const servers: number[] = [];
  const gate = new WriteGate(
    xen.host,
    xen.loop,
    DOMAIN,
    (server) => servers.push(server),
    (write) => writes.push(write),
  );
  return { xen, gate, writes, servers };
}

Deno.test("it is noted before anything hangs on it, and claims its pages last", () => {
  const { xen, gate, servers } = setUp();
  assertEquals(servers, [SERVER]);
  assertEquals(xen.calls, ["create", "enable", `claim ${SERVER}`]);
  gate.close([1n, 2n]);
  assertEquals(xen.calls.slice(3), ["gated 1,2"]);
});

Deno.test("a write is told once, and its virtual CPU goes on", () => {
  const { xen, writes } = setUp();
  xen.calls.length = 0;
  xen.access(1, {
    addr: 0x10b030n,
    data: 0xffff_ffff_8010_4700n,
    count: 1,
    bytes: 8,
    bits: constants.STATE_IOREQ_READY,
  });
  assertEquals(writes, [{
    vcpu: 1,
    address: 0x10b030n,
    size: 8,
    count: 1,
    data: 0xffff_ffff_8010_4700n,
  }]);
  assertEquals(xen.bits(1), constants.STATE_IORESP_READY);
  assertEquals(xen.calls, [`unmask ${LOCAL + 1}`, `notify ${LOCAL + 1}`]);
  // An event without a request
  xen.access(1, {});
  assertEquals(writes.length, 1);
  assertEquals(xen.calls.length, 3);
});

Deno.test("a write whose data lies in memory is told without it", () => {
  const { xen, writes } = setUp();
  const { data_is_ptr, df } = ioreqBits;
  xen.access(0, {
    addr: 0x1000n,
    data: 0x5000n,
    count: 4,
    bytes: 2,
    bits: constants.STATE_IOREQ_READY | data_is_ptr | df,
  });
  assertEquals(writes, [{ vcpu: 0, address: 0x1000n, size: 2, count: 4 }]);
  // The other bits are Xen's
  assertEquals(xen.bits(0), constants.STATE_IORESP_READY | data_is_ptr | df);
});

Deno.test("a guest that writes without end waits longer for its answers", async () => {
  const { xen, gate, writes } = setUp();
  const write = () => xen.access(0, { bits: constants.STATE_IOREQ_READY });
  for (let count = 0; count < 1000; count++) {
    write();
    if (xen.bits(0) === constants.STATE_IOREQ_READY) break;
  }
  const { length } = writes;
  assert(length >= 100 && length < 1000, `${length}`);
  while (xen.bits(0) === constants.STATE_IOREQ_READY) await delay(10);
  assertEquals(writes.length, length + 1);
  gate[Symbol.dispose]();
});

Deno.test("a read is answered and is no write", () => {
  const { xen, writes } = setUp();
  xen.access(0, { bits: constants.STATE_IOREQ_READY | ioreqBits.dir });
  assertEquals(writes, []);
  assertEquals(xen.bits(0), constants.STATE_IORESP_READY | ioreqBits.dir);
});

Deno.test("what Xen tells every server is answered and is no write", () => {
  const { xen, writes } = setUp();
  xen.access(0, {
    // IOREQ_TYPE_INVALIDATE
    type: 8,
    data: 0xffff_ffff_ffff_ffffn,
    bytes: 4,
    bits: constants.STATE_IOREQ_READY,
  });
  assertEquals(writes, []);
  assertEquals(xen.bits(0), constants.STATE_IORESP_READY);
});

Deno.test("who writes goes on even if that cannot be told", () => {
  const xen = new GateHost();
  using _gate = new WriteGate(xen.host, xen.loop, DOMAIN, () => {}, () => {
    throw new RangeError("no room");
  });
  assertThrows(
    () => xen.access(0, { bits: constants.STATE_IOREQ_READY }),
    RangeError,
    "no room",
  );
  assertEquals(xen.bits(0), constants.STATE_IORESP_READY);
  assertEquals(xen.calls.at(-1), `notify ${LOCAL}`);
});

/** What a gate's end does once nobody waits. */
const ENDS = [
  `disclaim ${SERVER}`,
  "close channels",
  "unmap",
  `destroy ${SERVER}`,
];

Deno.test("at its end who waits goes on before its pages are writable", () => {
  const { xen, gate } = setUp();
  // Its event has not been taken yet
  xen.request(1, { bits: constants.STATE_IOREQ_READY });
  xen.calls.length = 0;
  gate.end(xen.paused(false));
  assertEquals(xen.bits(1), 0);
  assertEquals(xen.calls, [
    ...[`notify ${LOCAL + 1}`, "run", "stop"],
    ...ENDS,
  ]);
});

Deno.test("a guest at whose gate nobody waits does not run for its end", () => {
  const { xen, gate } = setUp();
  xen.calls.length = 0;
  gate.end(xen.paused(true));
  assertEquals(xen.calls, ENDS);
});

Deno.test("an answer that was not taken before a pause is taken at its end", () => {
  const { xen, gate } = setUp();
  xen.request(0, { bits: constants.STATE_IORESP_READY });
  xen.calls.length = 0;
  gate.end(xen.paused(true));
  assertEquals(xen.bits(0), 0);
  assertEquals(xen.calls, [
    // Who answered may have been killed before it said so
    ...[`notify ${LOCAL}`, "run", "stop"],
    ...ENDS,
  ]);
});

Deno.test("who writes again at once is answered again before its end", () => {
  const { xen, gate } = setUp();
  xen.writesAgain = 6;
  xen.request(0, { bits: constants.STATE_IOREQ_READY });
  gate.end(xen.paused(false));
  assertEquals(xen.bits(0), 0);
  assertEquals(xen.calls.filter((call) => call === "run").length, 7);
});

Deno.test("a guest that was paused runs no longer than a few writes take", () => {
  const { xen, gate } = setUp();
  xen.writesAgain = 1000;
  xen.request(0, { bits: constants.STATE_IOREQ_READY });
  gate.end(xen.paused(true));
  assertEquals(xen.calls.filter((call) => call === "run").length, 4);
  assertEquals(xen.calls.slice(-5), [
    ENDS[0]!,
    `notify ${LOCAL}`,
    ...ENDS.slice(1),
  ]);
  assertEquals(xen.bits(0), constants.STATE_IORESP_READY);
});

Deno.test("the gate of a guest that cannot run is opened in the end", () => {
  const { xen, gate } = setUp();
  xen.canRun = false;
  xen.request(0, { bits: constants.STATE_IOREQ_READY });
  gate.end(xen.paused(false));
  assertEquals(xen.bits(0), constants.STATE_IORESP_READY);
  assertEquals(xen.calls.slice(-5), [
    ENDS[0]!,
    `notify ${LOCAL}`,
    ...ENDS.slice(1),
  ]);
});

Deno.test("a gate that is given back at once answers who waits", () => {
  const { xen, gate } = setUp();
  xen.request(1, { bits: constants.STATE_IOREQ_READY });
  xen.calls.length = 0;
  gate[Symbol.dispose]();
  assertEquals(xen.bits(1), constants.STATE_IORESP_READY);
  assertEquals(xen.calls, [
    ENDS[0]!,
    `notify ${LOCAL + 1}`,
    ...ENDS.slice(1),
  ]);
});

Deno.test("a gate whose process has died is undone by another", () => {
  const xen = new GateHost();
  xen.request(0, { bits: constants.STATE_IOREQ_INPROCESS });
  endWriteGate(xen.host, DOMAIN, SERVER, xen.paused(false));
  assertEquals(xen.bits(0), 0);
  assertEquals(xen.bits(1), 0);
  assertEquals(xen.calls, [`notify ${LOCAL}`, "run", "stop", ...ENDS]);
});

Deno.test("a gate whose process is still there for others is left as it is", () => {
  const xen = new GateHost();
  xen.refused.add(`bind ${REMOTE + 1}`);
  xen.request(0, { bits: constants.STATE_IOREQ_READY });
  assertThrows(
    () => endWriteGate(xen.host, DOMAIN, SERVER, xen.paused(false)),
    Error,
    "still in use",
  );
  assertEquals(xen.calls, [`bind ${REMOTE + 1}`, "close channels", "unmap"]);
});

Deno.test("a gate whose process died before it had channels is undone", () => {
  const xen = new GateHost();
  xen.refused.add(`bind ${REMOTE}`);
  endWriteGate(xen.host, DOMAIN, SERVER, xen.paused(false));
  assertEquals(xen.calls, [
    ...[`bind ${REMOTE}`, "close channels"],
    ...[`disclaim ${SERVER}`, "unmap", `destroy ${SERVER}`],
  ]);
});

Deno.test("a gate that is gone already hides nothing that is left of it", () => {
  const xen = new GateHost();
  xen.refused.add(`disclaim ${SERVER}`).add(`destroy ${SERVER}`);
  endWriteGate(xen.host, DOMAIN, SERVER, xen.paused(false));
  assertEquals(xen.calls, ENDS);
});

Deno.test("a gate ends in good order with a guest that is gone", () => {
  const { xen, gate } = setUp();
  xen.refused.add(`disclaim ${SERVER}`).add(`destroy ${SERVER}`);
  xen.calls.length = 0;
  gate[Symbol.dispose]();
  assertEquals(xen.calls, ENDS);
});

Deno.test("if Xen refuses, nothing is left", () => {
  const xen = new GateHost();
  xen.refused.add(`claim ${SERVER}`);
  assertThrows(
    () => new WriteGate(xen.host, xen.loop, DOMAIN, () => {}, () => {}),
    XenError,
  );
  assertEquals(xen.calls.slice(-3), [
    "close channels",
    "unmap",
    `destroy ${SERVER}`,
  ]);
});

Deno.test("a guest with more virtual CPUs than the page has room for is refused", () => {
  const xen = new GateHost();
  assertThrows(
    () =>
      new WriteGate(
        xen.host,
        xen.loop,
        { id: 7, maxVcpus: 129 },
        () => {},
        () => {},
      ),
    RangeError,
    "129 virtual CPUs",
  );
  assertEquals(xen.calls, []);
});
