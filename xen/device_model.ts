import { constants } from "./constants.ts";
import { errno } from "./control.ts";
import { XenError } from "./errors.ts";
import type { Libraries } from "./libraries.ts";

const {
  HVMMEM_ram_rw,
  HVMMEM_ram_ro,
  HVMMEM_ioreq_server,
  HVM_IOREQSRV_BUFIOREQ_OFF,
  XEN_DMOP_IOREQ_MEM_ACCESS_WRITE,
} = constants;

/** What a page of a guest is to it. */
export const memoryTypes = {
  /** Memory as any */
  writable: HVMMEM_ram_rw,
  /** Writes are discarded; what is there can be read and executed */
  readOnly: HVMMEM_ram_ro,
  /** Writes go to the ioreq server that claims the type; nothing executes */
  gated: HVMMEM_ioreq_server,
} as const;

/** Pages of one call */
const MAX_PAGES = 0xffffffffn;

/**
 * What Xen lets an emulator of devices do to a PVH or HVM guest
 * (libxendevicemodel). It is the same in every release, and on the processors
 * of every maker.
 */
export class DeviceModel implements Disposable {
  #libraries: Libraries;
  #handle: Deno.PointerValue;

  /** @throws {XenError} If the privileged command device cannot be opened */
  constructor(libraries: Libraries) {
    this.#libraries = libraries;
    this.#handle = libraries.devicemodel.symbols.xendevicemodel_open(
      libraries.logger,
      0,
    );
    if (this.#handle === null) {
      throw new XenError("xendevicemodel_open", errno(libraries));
    }
  }

  #check(call: string, result: number): void {
    if (result < 0) {
      throw new XenError(`xendevicemodel_${call}`, errno(this.#libraries));
    }
  }

  /**
   * Makes an ioreq server, which may be asked for accesses of the guest.
   *
   * @param domain Domain id
   * @returns Its id
   * @throws {XenError} If Xen refuses: EINVAL for a PV guest
   */
  createServer(domain: number): number {
    const id = new Uint16Array(1);
    this.#check(
      "create_ioreq_server",
      this.#libraries.devicemodel.symbols.xendevicemodel_create_ioreq_server(
        this.#handle,
        domain,
        HVM_IOREQSRV_BUFIOREQ_OFF,
        new Uint8Array(id.buffer),
      ),
    );
    return id[0]!;
  }

  /**
   * Lets a server be asked, once its page of requests is mapped.
   *
   * @throws {XenError} If Xen refuses
   */
  enableServer(domain: number, server: number): void {
    this.#check(
      "set_ioreq_server_state",
      this.#libraries.devicemodel.symbols.xendevicemodel_set_ioreq_server_state(
        this.#handle,
        domain,
        server,
        1,
      ),
    );
  }

  /**
   * Lets a server be asked for writes to gated pages, or no more. What is gated
   * when it ends is writable again.
   *
   * @throws {XenError} If Xen refuses: EINVAL if another server is asked
   */
  claimGated(domain: number, server: number, claim: boolean): void {
    const { symbols } = this.#libraries.devicemodel;
    this.#check(
      "map_mem_type_to_ioreq_server",
      symbols.xendevicemodel_map_mem_type_to_ioreq_server(
        this.#handle,
        domain,
        server,
        HVMMEM_ioreq_server,
        claim ? XEN_DMOP_IOREQ_MEM_ACCESS_WRITE : 0,
      ),
    );
  }

  /**
   * Ends a server. Nobody is to wait for its answer any more, and it is to claim
   * nothing: Xen wakes nobody, and has its pages writable for nobody.
   *
   * @throws {XenError} If Xen refuses: ENOENT if there is none
   */
  destroyServer(domain: number, server: number): void {
    this.#check(
      "destroy_ioreq_server",
      this.#libraries.devicemodel.symbols.xendevicemodel_destroy_ioreq_server(
        this.#handle,
        domain,
        server,
      ),
    );
  }

  /**
   * Changes what pages are to the guest.
   *
   * @param domain Domain id
   * @param frames Guest frames; those that follow each other go at one blow
   * @throws {XenError} If Xen refuses a page: those before it are done
   */
  setMemoryType(
    domain: number,
    frames: readonly bigint[],
    type: keyof typeof memoryTypes,
  ): void {
    for (const { first, pages } of runs(frames)) {
      this.#check(
        "set_mem_type",
        this.#libraries.devicemodel.symbols.xendevicemodel_set_mem_type(
          this.#handle,
          domain,
          memoryTypes[type],
          first,
          Number(pages),
        ),
      );
    }
  }

  /**
   * Has the log of what a guest writes tell a frame as written to. Without a
   * log nothing happens.
   *
   * @throws {XenError} If Xen refuses
   */
  markWritten(domain: number, frame: bigint): void {
    this.#check(
      "modified_memory",
      this.#libraries.devicemodel.symbols.xendevicemodel_modified_memory(
        this.#handle,
        domain,
        frame,
        1,
      ),
    );
  }

  [Symbol.dispose](): void {
    this.#libraries.devicemodel.symbols.xendevicemodel_close(this.#handle);
  }
}

/** Frames that follow each other, in the order given. */
function* runs(
  frames: readonly bigint[],
): Generator<{ first: bigint; pages: bigint }> {
  let first = frames[0];
  let pages = 0n;
  for (const frame of frames) {
    if (frame !== first! + pages || pages === MAX_PAGES) {
      yield { first: first!, pages };
      first = frame;
      pages = 0n;
    }
    pages++;
  }
  if (first !== undefined) yield { first, pages };
}
