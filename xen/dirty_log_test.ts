import { assertEquals, assertThrows } from "@std/assert";
import { DirtyLog, endDirtyLog } from "./dirty_log.ts";
import { XenError } from "./errors.ts";
import { DirtyLogHost } from "./testing/dirty_log_host.ts";

const DOMAIN = 7;
const ENOMEM = 12;
const EBUSY = 16;
const EINVAL = 22;
const EOPNOTSUPP = 95;
const FRAMES = [9n, 8n, 30n];
const WITNESS = FRAMES[0]!;

function begin(xen: DirtyLogHost, frames: readonly bigint[] = FRAMES) {
  return new DirtyLog(xen.host, DOMAIN, frames, () => {});
}

Deno.test("it is noted before it begins, and its witness is marked then", () => {
  const xen = new DirtyLogHost();
  const { host, calls } = xen;
  new DirtyLog(host, DOMAIN, FRAMES, (witness) => calls.push(`${witness}`));
  assertEquals(calls, ["9", "begin", "mark 9", "read"]);
});

Deno.test("a frame that was written to is told from the next look on, for good", () => {
  const xen = new DirtyLogHost();
  using log = begin(xen);
  assertEquals(log.written, [WITNESS]);
  xen.write(30n);
  assertEquals(log.written, [WITNESS]);
  for (let looks = 0; looks < 2; looks++) {
    assertEquals(log.look(), true);
    assertEquals(log.written, [WITNESS, 30n]);
  }
});

Deno.test("of frames that are not watched nothing is known", () => {
  const xen = new DirtyLogHost();
  using log = begin(xen);
  const others = [0n, 10n, 31n, 32n, 1n << 28n, 1n << 51n];
  assertEquals(others.filter((frame) => log.watches(frame)), []);
  assertEquals(FRAMES.filter((frame) => log.watches(frame)), FRAMES);
  for (const frame of others) xen.write(frame);
  log.look();
  assertEquals(log.written, [WITNESS]);
});

Deno.test("a log that somebody else has taken over or ended is lost", () => {
  for (const end of ["migrate", "endDirtyLog"] as const) {
    const xen = new DirtyLogHost();
    using log = begin(xen);
    if (end === "migrate") xen.migrate();
    else xen.host.control.endDirtyLog(DOMAIN);
    assertEquals(log.look(), false);
  }
});

Deno.test("what Xen could not log is no clean log", () => {
  const xen = new DirtyLogHost();
  using log = begin(xen);
  xen.refused.set("read", ENOMEM);
  assertThrows(() => log.look(), XenError);
});

Deno.test("why a log cannot begin is said, and nothing is left of it", () => {
  const reasons = [
    ["begin", EINVAL, "such as a live migration"],
    ["begin", EBUSY, "pages of it are gated"],
    ["begin", EOPNOTSUPP, "EOPNOTSUPP"],
    ["mark 9", EINVAL, "EINVAL"],
    ["read", ENOMEM, "ENOMEM"],
  ] as const;
  for (const [call, errno, message] of reasons) {
    const xen = new DirtyLogHost();
    xen.refused.set(call, errno);
    assertThrows(() => begin(xen), Error, message);
    assertEquals([xen.isOn, xen.buffers], [false, 0]);
  }
});

Deno.test("a log that does nothing is found out, and ended", () => {
  const xen = new DirtyLogHost();
  xen.marks = false;
  assertThrows(() => begin(xen), RangeError, "Xen logs nothing of it");
  assertEquals([xen.isOn, xen.buffers], [false, 0]);
});

Deno.test("somebody else's log is not ended by one that cannot begin", () => {
  const xen = new DirtyLogHost();
  xen.migrate();
  assertThrows(() => begin(xen), RangeError);
  assertEquals([xen.isOn, xen.buffers], [true, 0]);
});

Deno.test("memory that would take too large a log has none", () => {
  const xen = new DirtyLogHost();
  assertThrows(() => begin(xen, [1n, 1n << 28n, 2n]), RangeError, "1 TiB");
  assertEquals([xen.calls, xen.buffers], [[], 0]);
});

Deno.test("a log is ended as long as it is ours", () => {
  const xen = new DirtyLogHost();
  {
    using _ = begin(xen);
  }
  assertEquals([xen.isOn, xen.buffers], [true, 0]);
  assertEquals(endDirtyLog(xen.host, DOMAIN, WITNESS), true);
  assertEquals([xen.isOn, xen.buffers], [false, 0]);
  assertEquals(endDirtyLog(xen.host, DOMAIN, WITNESS), false);
});

Deno.test("a log that somebody else needs, or may need, stays", () => {
  const xen = new DirtyLogHost();
  begin(xen);
  xen.refused.set("read", ENOMEM);
  assertEquals(endDirtyLog(xen.host, DOMAIN, WITNESS), false);
  xen.refused.clear();
  assertEquals(endDirtyLog(xen.host, DOMAIN, 1n << 51n), false);
  xen.migrate();
  assertEquals(endDirtyLog(xen.host, DOMAIN, WITNESS), false);
  assertEquals(xen.isOn, true);
});
