import { constants } from "../constants.ts";
import { XenError } from "../errors.ts";
import type { HypercallBuffer } from "../hypercall_buffer.ts";
import type { XenHost } from "../host.ts";

const EINVAL = 22;

/** Xen's side of the log of what a guest writes, which anybody may change. */
export class DirtyLogHost {
  /** `begin`, `read` and so on, in order */
  readonly calls: string[] = [];
  /** Calls that are refused, with their error numbers */
  readonly refused = new Map<string, number>();
  /** Buffers that were not given back */
  buffers = 0;
  /** Frames of which nothing is logged, since others came in their place */
  readonly ordinary = new Set<bigint>();
  /** Whether marking a frame as written does anything */
  marks = true;
  readonly host: Pick<XenHost, "control" | "deviceModel" | "hypercalls">;
  #written: Set<bigint> | undefined;

  constructor() {
    const call = (name: string) => {
      this.calls.push(name);
      const error = this.refused.get(name);
      if (error !== undefined) throw new XenError(name, error);
    };
    this.host = {
      control: {
        startDirtyLog: () => {
          call("begin");
          if (this.isOn) throw new XenError("begin", EINVAL);
          this.#written = new Set();
        },
        readDirtyLog: (_domain: number, { bytes }: HypercallBuffer) => {
          call("read");
          bytes.fill(0);
          for (const frame of this.#written ?? []) {
            const byte = Number(frame >> 3n);
            if (byte < bytes.length) bytes[byte]! |= 1 << Number(frame & 7n);
          }
        },
        endDirtyLog: () => {
          call("end");
          this.#written = undefined;
        },
      },
      deviceModel: {
        markWritten: (_domain: number, frame: bigint) => {
          call(`mark ${frame}`);
          if (this.marks) this.write(frame);
        },
      },
      hypercalls: {
        typesOf: (_domain: number, frames: readonly bigint[]) => {
          call("types");
          const { HVMMEM_ram_rw, HVMMEM_ram_ro } = constants;
          // What is written to becomes ordinary memory, so that it is told once
          return frames.map((frame) =>
            this.#written?.has(frame) === false && !this.ordinary.has(frame)
              ? HVMMEM_ram_ro
              : HVMMEM_ram_rw
          );
        },
        buffer: (size: number) => {
          this.buffers++;
          return {
            address: 0x1000n,
            bytes: new Uint8Array(size),
            [Symbol.dispose]: () => void this.buffers--,
          };
        },
      },
    } as unknown as DirtyLogHost["host"];
  }

  /** Whether anybody has writes logged */
  get isOn(): boolean {
    return this.#written !== undefined;
  }

  /** The guest, or somebody in its name, writes to a frame. */
  write(frame: bigint): void {
    this.#written?.add(frame);
  }

  /** A live migration begins: it takes a log over that is there. */
  migrate(): void {
    this.#written = new Set();
  }
}
