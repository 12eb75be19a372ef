import type { GuestMemory } from "../memory.ts";
import { CodeOwners } from "./code_owners.ts";
import { GuestReader } from "./guest_reader.ts";
import type { LinuxImage } from "./linux_image.ts";

/** Locks that are held while code is changed */
const LOCKS = ["text_mutex", "jump_label_mutex", "static_call_mutex"];

/** Times that all is read again within one look */
const MAX_RENEWALS = 8;

/**
 * What a guest's data says at one look: read when it is asked for, and once
 * only until it is forgotten.
 */
export class GuestState {
  readonly image: LinuxImage;
  readonly memory: GuestMemory;
  #data: GuestReader | undefined;
  #owners: CodeOwners | undefined;
  #renewals = 0;

  constructor(image: LinuxImage, memory: GuestMemory) {
    this.image = image;
    this.memory = memory;
  }

  /** The kernel's variables. */
  get data(): GuestReader {
    return this.#data ??= new GuestReader(this.memory, this.image.base);
  }

  /** The kernel's lists of code and hooks. */
  get owners(): CodeOwners {
    return this.#owners ??= new CodeOwners(this.image, this.memory);
  }

  /** Whether somebody in the kernel holds a lock under which code is changed. */
  get isPatching(): boolean {
    const owner = this.image.btf.member("mutex", "owner");
    if (owner === undefined) return false;
    return LOCKS.some((name) => {
      const at = this.image.offset(name);
      return at !== undefined && this.data.u64(at + owner.offset) !== 0n;
    });
  }

  /** Forgets all, for the next look. */
  refresh(): void {
    this.#renewals = 0;
    this.#forget();
  }

  #forget(): void {
    this.#data = undefined;
    this.#owners = undefined;
  }

  /**
   * Forgets all within a look, a few times.
   *
   * @returns Whether it did
   */
  renew(): boolean {
    if (this.#renewals === MAX_RENEWALS) return false;
    this.#renewals++;
    this.#forget();
    return true;
  }
}
