import { ForeignFrames } from "../foreign_frames.ts";
import type { XenHost } from "../host.ts";
import { hvmCpu } from "../layouts.ts";
import { walkPageTables } from "../page_walk.ts";
import { Machine } from "./machine.ts";
import { MonitorHost } from "./monitor_host.ts";

/** A guest's memory, and Xen's side of its events: its CPUs run 64-bit code. */
export class MonitoredMachine implements Disposable {
  readonly machine = new Machine();
  readonly xen = new MonitorHost();
  readonly host: XenHost;
  /** Frame of the root page table */
  readonly root = this.machine.allocate();
  /** Guest frames of which Xen was told that Dom0 wrote to them */
  readonly written: bigint[] = [];
  #frames = new ForeignFrames(this.machine.libraries);

  constructor() {
    this.set(hvmCpu.cr3, this.root << 12n);
    this.set(hvmCpu.msr_efer, 0xd01n);
    this.xen.cpu.setUint32(hvmCpu.cs_arbytes, 0xa9b, true);
    this.host = {
      ...this.xen.host,
      frames: this.#frames,
      deviceModel: {
        markWritten: (_domain: number, frame: bigint) =>
          void this.written.push(frame),
      },
    } as unknown as XenHost;
  }

  /** Sets a register. */
  readonly set = (at: number, value: bigint): void =>
    this.xen.cpu.setBigUint64(at, value, true);

  /** Where an address leads. */
  readonly walk = (address: bigint, from = this.root) =>
    walkPageTables(
      (table, index) => this.machine.entry(table, index),
      from,
      address,
      4,
    );

  [Symbol.dispose](): void {
    this.#frames[Symbol.dispose]();
    this.machine[Symbol.dispose]();
  }
}
