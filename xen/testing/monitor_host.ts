import { assertEquals } from "@std/assert";
import { constants } from "../constants.ts";
import { XenError } from "../errors.ts";
import type { XenHost } from "../host.ts";
import {
  domainFlags,
  hvmCpu,
  PAGE_SIZE,
  vmEvent,
  vmEventRing,
} from "../layouts.ts";
import { fakeControl } from "./fake_control.ts";
import { ManualLoop } from "./manual_loop.ts";

const FD = 42;
const PORT = 30;
const SLOTS = 8;
/** Bytes of a `struct hvm_hw_cpu` of Xen 4.17 */
const CPU_SIZE = 1032;

/** The instruction of each event */
export const IP = 0xffff_ffff_8100_1234n;

/** The page that is written to if a test says nothing else */
export const FRAME = 0x1809n;

/** Number or index of a register, and what it was and is to be. */
export interface RegisterWrite {
  readonly index: number;
  readonly value: bigint;
  readonly before: bigint;
}

const PAUSED = constants.VM_EVENT_FLAG_VCPU_PAUSED;

/** What a virtual CPU was told: its number and the answer's flags. */
export type Answer = readonly [vcpu: number, flags: number];

/** Xen's side of a guest's ring of events: puts events on it, and takes answers when notified. */
export class MonitorHost {
  readonly calls: string[] = [];
  readonly answers: Answer[] = [];
  /** How often the other side has sent a channel event */
  notified = 0;
  /** Where each answer has its virtual CPU go on, if it says so */
  readonly ips: bigint[] = [];
  /** `XENMEM_access_*` of the guest frames where it was set */
  readonly accesses = new Map<bigint, number>();
  /** Raw `struct hvm_hw_cpu` of every virtual CPU */
  readonly cpu = new DataView(new ArrayBuffer(CPU_SIZE));
  /** Calls that are refused, with their error numbers */
  readonly refused = new Map<string, number>();
  /** Whether Xen takes the guest apart */
  dying = false;
  readonly host: XenHost;
  #loop = new ManualLoop();
  readonly loop = this.#loop.loop;
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
      hypercalls: {
        accessesOf: (_domain: number, frames: readonly bigint[]) =>
          frames.map((frame) => this.accesses.get(frame)),
      },
      control: {
        xenVersion: () => release,
        domainInfoList: (id: number, max: number) =>
          fakeControl([{ id, flags: this.dying ? domainFlags.dying : 0 }])
            .domainInfoList(id, max),
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
        controlRegisterValues: () => call("control values"),
        tellControlRegister: (
          _domain: number,
          register: string,
          bits: bigint,
        ) => call(`tell ${register} ${bits.toString(16)}`),
        tellMsr: (_domain: number, msr: number) =>
          call(`tell ${msr.toString(16)}`),
        tellDescriptorTables: (_domain: number, tell: boolean) =>
          call(tell ? "tell tables" : "tell no tables"),
        hvmCpu: () => {
          const error = this.refused.get("cpu");
          if (error !== undefined) throw new XenError("cpu", error);
          return this.cpu;
        },
        tellSteps: () => call("tell steps"),
        endSteps: (_domain: number, vcpu: number) => call(`end ${vcpu}`),
        setAccess: (
          _domain: number,
          frames: readonly bigint[],
          access: "r-x" | "rwx",
        ) => {
          call(`${access} ${frames}`);
          const { XENMEM_access_rx, XENMEM_access_rwx } = constants;
          for (const frame of frames) {
            this.accesses.set(
              frame,
              access === "r-x" ? XENMEM_access_rx : XENMEM_access_rwx,
            );
          }
        },
      },
    } as unknown as XenHost;
    this.cpu.setBigUint64(hvmCpu.rip, IP, true);
  }

  #takeAnswers(): void {
    this.notified++;
    while (this.#ring.getUint32(vmEventRing.rsp_prod, true) !== this.#taken) {
      const at = this.#entryAt(this.#taken++);
      const read = (field: number) => this.#ring.getUint32(at + field, true);
      assertEquals(read(vmEvent.version), this.#version);
      this.answers.push([read(vmEvent.vcpu_id), read(vmEvent.flags)]);
      this.ips.push(this.#ring.getBigUint64(at + vmEvent.rip, true));
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
      offset = 0x30n,
      access = constants.MEM_ACCESS_W as number,
      address = undefined as bigint | undefined,
      register = undefined as RegisterWrite | undefined,
      table = undefined as number | undefined,
      writes = true,
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
    this.#ring.setBigUint64(at + vmEvent.offset, offset, true);
    if (address !== undefined) {
      set(vmEvent.access, access | constants.MEM_ACCESS_GLA_VALID);
      this.#ring.setBigUint64(at + vmEvent.gla, address, true);
    }
    if (register !== undefined) {
      const { index, value, before } = register;
      set(vmEvent.ctrlreg, index);
      this.#ring.setBigUint64(at + vmEvent.ctrlreg_new, value, true);
      this.#ring.setBigUint64(at + vmEvent.ctrlreg_old, before, true);
    }
    if (table !== undefined) {
      set(vmEvent.reason, constants.VM_EVENT_REASON_DESCRIPTOR_ACCESS);
      this.#ring.setUint8(at + vmEvent.descriptor, table);
      this.#ring.setUint8(at + vmEvent.desc_is_write, Number(writes));
    }
    this.#ring.setBigUint64(at + vmEvent.rip, IP, true);
    this.#ring.setUint32(vmEventRing.req_prod, ++this.#put, true);
  }

  /** The channel event for what is on the ring. */
  notify(): void {
    this.#pending = 1;
    this.#loop.notify();
  }
}
