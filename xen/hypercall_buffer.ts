/** Memory that a hypercall may point to. */
export interface HypercallBuffer extends Disposable {
  readonly address: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;
}
