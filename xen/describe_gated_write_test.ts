import { assertEquals, assertThrows } from "@std/assert";
import { describeGatedWrite } from "./describe_gated_write.ts";
import { XenError } from "./errors.ts";
import { hvmCpu } from "./layouts.ts";

const DOMAIN = 3;
const EPERM = 1;
const ESRCH = 3;
const IP = 0xffff_ffff_8010_2345n;
const WRITE = {
  vcpu: 1,
  address: 0x10b038n,
  size: 8,
  count: 1,
  data: 0xffff_ffff_8010_4700n,
};

/** The second virtual CPU of a guest. */
const control = {
  hvmCpu(domain: number, vcpu: number) {
    assertEquals([domain, vcpu], [DOMAIN, 1]);
    const view = new DataView(new ArrayBuffer(4096));
    view.setBigUint64(hvmCpu.rip, IP, true);
    return view;
  },
};

function refusing(errno: number) {
  return {
    hvmCpu: () => {
      throw new XenError("xc_domain_hvm_getcontext_partial", errno);
    },
  };
}

Deno.test("a gated write is told with its instruction and its bytes", () => {
  assertEquals(describeGatedWrite(control, DOMAIN, WRITE), {
    vcpu: 1,
    ip: IP,
    frame: 0x10bn,
    offset: 0x38,
    size: 8,
    data: new Uint8Array([0x00, 0x47, 0x10, 0x80, 0xff, 0xff, 0xff, 0xff]),
  });
});

Deno.test("of several accesses at once only the length is told", () => {
  const { data: _, ...write } = describeGatedWrite(control, DOMAIN, WRITE)!;
  const repeated = { ...WRITE, count: 4 };
  assertEquals(describeGatedWrite(control, DOMAIN, repeated), {
    ...write,
    size: 32,
  });
});

Deno.test("of a guest that is gone no write is told", () => {
  assertEquals(describeGatedWrite(refusing(ESRCH), DOMAIN, WRITE), undefined);
});

Deno.test("that Xen refuses for another reason is an error", () => {
  assertThrows(
    () => describeGatedWrite(refusing(EPERM), DOMAIN, WRITE),
    XenError,
    "EPERM",
  );
});
