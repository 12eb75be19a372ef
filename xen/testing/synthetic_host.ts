import { constants } from "../constants.ts";
import { XenError } from "../errors.ts";
import { ForeignFrames } from "../foreign_frames.ts";
import type { XenHost } from "../host.ts";
import type { EntryUpdate } from "../hypercalls.ts";
import { domainFlags, hvmCpu, vcpuContext } from "../layouts.ts";
import { entryFrame } from "../page_walk.ts";
import { fakeControl } from "./fake_control.ts";
import type { Machine } from "./machine.ts";

const ENOMEM = 12;
const EINVAL = 22;
const ENODATA = 61;

/** Bytes of a `struct hvm_hw_cpu` of Xen 4.17 */
const HVM_CPU_SIZE = 1032;

/**
 * A host with one guest, PV or not, in the memory of a machine: pauses are
 * counted as Xen counts them, updates of entries go into the memory.
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
  /** Raw state of every virtual CPU of a PV guest, but for the root */
  readonly context = new Uint8Array(vcpuContext.size);
  /** Raw state of every virtual CPU of another guest, but for the root */
  readonly hvmContext = new Uint8Array(HVM_CPU_SIZE);
  /** Virtual CPUs that were never brought up */
  readonly down = new Set<number>();
  /** Error number of the control interface where the guest is gone */
  contextError: number | undefined;
  /** Refuses some updates of entries, and with one all that come with it */
  refuses: (update: EntryUpdate) => boolean = () => false;
  /** What is in xenstore, and which domain beside Dom0 can read it */
  readonly nodes = new Map<string, { value: string; owner: number }>();
  /** Whether Xen has memory that Dom0 may take */
  hasMemory = true;
  /** How many the domain has */
  pages = 16n;
  /** Whether the domain is being taken apart */
  dying = false;
  /** Guest frames of which Xen was told that Dom0 wrote to them */
  readonly written: bigint[] = [];
  /** Called before entries are looked for, when the guest has stopped */
  onPause: () => void = () => {};

  constructor(machine: Machine, id: number) {
    this.root = machine.allocate();
    const check = (call: string, vcpu: number) => {
      const error = this.contextError ??
        (this.down.has(vcpu) ? ENODATA : undefined);
      if (error !== undefined) throw new XenError(call, error);
    };
    const pvState = (
      _domain: number,
      vcpu: number,
      buffer: Uint8Array<ArrayBuffer>,
    ) => {
      check("xc_vcpu_getcontext", vcpu);
      const view = new DataView(buffer.buffer);
      new Uint8Array(buffer.buffer).set(this.context);
      view.setBigUint64(vcpuContext.ctrlreg + 3 * 8, this.root << 12n, true);
      return view;
    };
    const hvmState = (_domain: number, vcpu: number) => {
      check("xc_domain_hvm_getcontext_partial", vcpu);
      const view = new DataView(this.hvmContext.slice().buffer);
      view.setBigUint64(hvmCpu.cr3, this.root << 12n, true);
      return view;
    };
    this.host = {
      libraries: machine.libraries,
      store: {
        read: (path: string) => this.nodes.get(path)?.value,
        write: (path: string, value: string) =>
          void this.nodes.set(path, { value, owner: 0 }),
        giveTo: (owner: number, path: string) => {
          const { value } = this.nodes.get(path)!;
          this.nodes.set(path, { value, owner });
        },
      },
      deviceModel: {
        markWritten: (_domain: number, frame: bigint) =>
          void this.written.push(frame),
      },
      frames: new ForeignFrames(machine.libraries),
      control: {
        domainInfoList: (first: number, max: number) =>
          fakeControl([{
            id,
            pages: this.pages,
            flags: (this.pauses > 0 ? domainFlags.paused : 0) |
              (this.dying ? domainFlags.dying : 0),
          }]).domainInfoList(first, max),
        vcpuContext: pvState,
        hvmCpu: hvmState,
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
        takeFrames: (count: number) => {
          this.calls.push(`take ${count}`);
          if (!this.hasMemory) {
            throw new XenError("xc_domain_increase_reservation", ENOMEM);
          }
          return Array.from({ length: count }, () => {
            const frame = machine.allocate();
            machine.own.add(frame);
            return frame;
          });
        },
        giveFrames: (frames: readonly bigint[]) =>
          void this.calls.push(`give ${frames.length}`),
        reboot: () => this.calls.push(`shutdown ${constants.SHUTDOWN_reboot}`),
      },
      hypercalls: {
        updateEntries: (
          _domain: number,
          updates: readonly EntryUpdate[],
          owner = id,
        ) => {
          this.calls.push(`update ${updates.length}`);
          const isAnothers = ({ entry }: EntryUpdate) =>
            machine.own.has(entryFrame(entry)) !==
              (owner === constants.DOMID_SELF);
          for (const update of updates) {
            if (updates.some(this.refuses) || isAnothers(update)) {
              throw new XenError("mmu_update", EINVAL);
            }
            machine.setEntry(update.table, update.index, update.entry);
          }
        },
      },
    } as unknown as XenHost;
  }
}
