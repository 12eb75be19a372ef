import { XenControl } from "./control.ts";
import { DeviceModel } from "./device_model.ts";
import { ForeignFrames } from "./foreign_frames.ts";
import { Hypercalls } from "./hypercalls.ts";
import { type Libraries, openLibraries } from "./libraries.ts";
import { XenStore } from "./store.ts";

/** Every handle on Xen that one process of xkmon needs, opened once. */
export class XenHost implements Disposable {
  readonly libraries: Libraries;
  readonly control: XenControl;
  readonly store: XenStore;
  readonly frames: ForeignFrames;
  readonly hypercalls: Hypercalls;
  readonly deviceModel: DeviceModel;
  #stack: DisposableStack;

  /**
   * @throws {LibraryError} If this is no Dom0 or a library is missing
   * @throws {Deno.errors.PermissionDenied} If this process is not root's
   * @throws {XenError} If Xen or xenstored refuses
   */
  constructor() {
    if (Deno.uid() !== 0) {
      throw new Deno.errors.PermissionDenied(
        "Only root may do this: run xkmon as root in Dom0",
      );
    }
    using stack = new DisposableStack();
    this.libraries = openLibraries();
    this.control = stack.use(new XenControl(this.libraries));
    this.store = stack.use(new XenStore(this.libraries));
    this.frames = stack.use(new ForeignFrames(this.libraries));
    this.hypercalls = stack.use(new Hypercalls(this.libraries));
    this.deviceModel = stack.use(new DeviceModel(this.libraries));
    this.#stack = stack.move();
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
