import { constants } from "../constants.ts";
import { XenError } from "../errors.ts";
import { ForeignFrames } from "../foreign_frames.ts";
import type { XenHost } from "../host.ts";
import type { EntryUpdate } from "../hypercalls.ts";
import { domainFlags, vcpuContext } from "../layouts.ts";
import { fakeControl } from "./fake_control.ts";
import { fakeStore } from "./fake_store.ts";
import type { Machine } from "./machine.ts";

const EINVAL = 22;

/**
 * A host with one PV guest in the memory of a machine: pauses are counted as
 * Xen counts them, updates of entries go into the memory.
 */
export class SyntheticHost {
  /** To be given to what needs a host */
  readonly host: XenHost;
  /** `pause`, `unpause`, `update 3` and so on, in order */
  readonly calls: string[] = [];
  /** Pauses that nobody has undone */
  pauses = 0;
  /** Frame of the root page table */
  root: bigint;
  /** Raw state of every virtual CPU, but for the root */
  readonly context = new Uint8Array(vcpuContext.size);
  /** Error number of the control interface where the guest is gone */
  contextError: number | undefined;
  /** Refuses some updates of entries, and with one all that come with it */
  refuses: (update: EntryUpdate) => boolean = () => false;
  /** Whether the domain is being taken apart */
  dying = false;
  /** Called before entries are looked for, when the guest has stopped */
  onPause: () => void = () => {};

  constructor(machine: Machine, id: number) {
    this.root = machine.allocate();
    const vcpu = (
      _domain: number,
      _vcpu: number,
      buffer: Uint8Array<ArrayBuffer>,
    ) => {
      if (this.contextError !== undefined) {
        throw new XenError("xc_vcpu_getcontext", this.contextError);
      }
      const view = new DataView(buffer.buffer);
      new Uint8Array(buffer.buffer).set(this.context);
      view.setBigUint64(vcpuContext.ctrlreg + 3 * 8, this.root << 12n, true);
      return view;
    };
    this.host = {
      libraries: machine.libraries,
      store: fakeStore({}),
      frames: new ForeignFrames(machine.libraries),
      control: {
        domainInfoList: (first: number, max: number) =>
          fakeControl([{
            id,
            flags: (this.pauses > 0 ? domainFlags.paused : 0) |
              (this.dying ? domainFlags.dying : 0),
          }]).domainInfoList(first, max),
        vcpuContext: vcpu,
        pause: () => {
          this.calls.push("pause");
          this.pauses++;
          this.onPause();
        },
        unpause: () => {
          this.calls.push("unpause");
          if (this.pauses === 0) {
            throw new XenError("xc_domain_unpause", EINVAL);
          }
          this.pauses--;
        },
        reboot: () => this.calls.push(`shutdown ${constants.SHUTDOWN_reboot}`),
      },
      hypercalls: {
        updateEntries: (_domain: number, updates: readonly EntryUpdate[]) => {
          this.calls.push(`update ${updates.length}`);
          if (updates.some(this.refuses)) {
            throw new XenError("mmu_update", EINVAL);
          }
          for (const { table, index, entry } of updates) {
            machine.setEntry(table, index, entry);
          }
        },
      },
    } as unknown as XenHost;
  }
}
