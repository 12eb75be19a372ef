import { assertEquals } from "@std/assert";
import { constants } from "./constants.ts";
import { vmEvent } from "./layouts.ts";
import { decodeVmEvent, encodeVmAnswer } from "./vm_event.ts";

function event(fields: Record<number, number | bigint>): DataView {
  const view = new DataView(new ArrayBuffer(vmEvent.sizes[1]));
  for (const [at, value] of Object.entries(fields)) {
    if (typeof value === "bigint") view.setBigUint64(Number(at), value, true);
    else view.setUint32(Number(at), value, true);
  }
  return view;
}

const common = {
  [vmEvent.version]: 7,
  [vmEvent.flags]: constants.VM_EVENT_FLAG_VCPU_PAUSED,
  [vmEvent.vcpu_id]: 1,
  [vmEvent.rip]: 0xffff_ffff_8100_1234n,
};
const decoded = { vcpu: 1, ip: 0xffff_ffff_8100_1234n };

Deno.test("an access to memory is read with its place", () => {
  const fields = {
    ...common,
    [vmEvent.reason]: constants.VM_EVENT_REASON_MEM_ACCESS,
    [vmEvent.gfn]: 0x1809n,
    [vmEvent.offset]: 0x1030n,
  };
  const place = {
    ...decoded,
    kind: "memory",
    frame: 0x1809n,
    offset: 0x30,
    inWalk: false,
  };
  for (const [access, writes] of [[1, false], [2, true], [19, true]] as const) {
    assertEquals<unknown>(
      decodeVmEvent(event({ ...fields, [vmEvent.access]: access })),
      { ...place, writes },
    );
  }
  const address = 0xffff_8000_0000_1030n;
  for (const [access, inWalk] of [[27, false], [43, true]] as const) {
    assertEquals<unknown>(
      decodeVmEvent(event({
        ...fields,
        [vmEvent.gla]: address,
        [vmEvent.access]: access,
      })),
      { ...place, writes: true, address, inWalk },
    );
  }
});

Deno.test("an access to a descriptor table register is read, and one that nobody knows is unknown", () => {
  const REASON = constants.VM_EVENT_REASON_DESCRIPTOR_ACCESS;
  const read = (register: number, writes: boolean) => {
    const view = event({ ...common, [vmEvent.reason]: REASON });
    view.setUint8(vmEvent.descriptor, register);
    view.setUint8(vmEvent.desc_is_write, Number(writes));
    return decodeVmEvent(view);
  };
  for (
    const [number, register] of [
      [1, "idt"],
      [2, "gdt"],
      [3, "ldt"],
      [4, "tr"],
    ] as const
  ) {
    for (const writes of [true, false]) {
      assertEquals<unknown>(read(number, writes), {
        ...decoded,
        kind: "descriptor table",
        register,
        writes,
      });
    }
  }
  assertEquals<unknown>(read(5, true), {
    ...decoded,
    kind: "unknown",
    reason: REASON,
  });
});

Deno.test("a write of a control register is read, and one that nobody asked for is unknown", () => {
  const fields = {
    ...common,
    [vmEvent.reason]: constants.VM_EVENT_REASON_WRITE_CTRLREG,
    [vmEvent.ctrlreg_new]: 0x8000_0011n,
    [vmEvent.ctrlreg_old]: 0x8001_0011n,
  };
  for (const [index, register] of [[0, "cr0"], [2, "cr4"]] as const) {
    assertEquals<unknown>(
      decodeVmEvent(event({ ...fields, [vmEvent.ctrlreg]: index })),
      {
        ...decoded,
        kind: "control register",
        register,
        value: 0x8000_0011n,
        before: 0x8001_0011n,
      },
    );
  }
  const other = decodeVmEvent(event({ ...fields, [vmEvent.ctrlreg]: 1 }));
  assertEquals(other.kind, "unknown");
});

Deno.test("a write of a model-specific register is read", () => {
  assertEquals<unknown>(
    decodeVmEvent(event({
      ...common,
      [vmEvent.reason]: constants.VM_EVENT_REASON_MOV_TO_MSR,
      [vmEvent.msr]: 0xc000_0082n,
      [vmEvent.msr_new]: 2n,
      [vmEvent.msr_old]: 1n,
    })),
    { ...decoded, kind: "msr", msr: 0xc000_0082, value: 2n, before: 1n },
  );
});

Deno.test("the end of an instruction is read", () => {
  const reason = constants.VM_EVENT_REASON_SINGLESTEP;
  assertEquals<unknown>(
    decodeVmEvent(event({ ...common, [vmEvent.reason]: reason })),
    { ...decoded, kind: "step" },
  );
});

Deno.test("what is not known is told with its number", () => {
  assertEquals<unknown>(
    decodeVmEvent(event({ ...common, [vmEvent.reason]: 99 })),
    { ...decoded, kind: "unknown", reason: 99 },
  );
});

Deno.test("an answer is the event with other flags", () => {
  const {
    VM_EVENT_FLAG_VCPU_PAUSED: paused,
    VM_EVENT_FLAG_EMULATE: emulate,
    VM_EVENT_FLAG_EMULATE_NOWRITE: noWrite,
    VM_EVENT_FLAG_TOGGLE_SINGLESTEP: step,
    VM_EVENT_FLAG_DENY: deny,
  } = constants;
  for (
    const [answer, flags] of [
      ["go on", 0],
      ["discard", emulate | noWrite],
      ["discard and step", emulate | noWrite | step],
      ["end steps", step],
      ["deny", deny],
      ["emulate", emulate],
    ] as const
  ) {
    for (const before of [paused, 0]) {
      // Flags of the event that mean something else in an answer
      const view = event({ ...common, [vmEvent.flags]: before | 1 << 7 });
      encodeVmAnswer(view, answer);
      assertEquals(
        view,
        event({ ...common, [vmEvent.flags]: before | flags }),
      );
    }
  }
});

Deno.test("an answer can have a virtual CPU go on elsewhere, with its other registers as they were", () => {
  const flags = constants.VM_EVENT_FLAG_VCPU_PAUSED;
  const rax = { [vmEvent.rip - 152]: 0x1234n };
  const view = event({ ...common, ...rax, [vmEvent.flags]: flags });
  encodeVmAnswer(view, { goOnAt: 0xffff_ffff_8100_1238n });
  assertEquals(
    view,
    event({
      ...common,
      ...rax,
      [vmEvent.flags]: flags | constants.VM_EVENT_FLAG_SET_REGISTERS,
      [vmEvent.rip]: 0xffff_ffff_8100_1238n,
    }),
  );
});
