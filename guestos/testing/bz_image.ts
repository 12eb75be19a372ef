/** What a synthetic bzImage holds. */
export interface BzImageOptions {
  /** The packed kernel, with what states its size */
  payload: Uint8Array;
  /** Version of the boot protocol; 2.15 where left out */
  version?: number;
  /** Sectors of the code for 16 bits; 0 stands for 4 */
  setupSectors?: number;
}

/** Where a synthetic bzImage holds its payload. */
export interface BzImage {
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView<ArrayBuffer>;
  /** Position of the payload in the file, bytes */
  payloadAt: number;
}

/** Bytes of the code that unpacks the kernel, before and after the payload. */
const CODE_SIZE = 72;

/**
 * Writes a bzImage for the tests, byte by byte from the boot protocol, so that
 * each field can be made wrong.
 */
export function bzImage(
  { payload, version = 0x020f, setupSectors = 2 }: BzImageOptions,
): BzImage {
  const codeAt = ((setupSectors || 4) + 1) * 512;
  const payloadAt = codeAt + CODE_SIZE;
  const bytes = new Uint8Array(payloadAt + payload.length + CODE_SIZE)
    .fill(0x90);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode("MZ"));
  view.setUint8(0x1f1, setupSectors);
  view.setUint16(0x1fe, 0xaa55, true);
  bytes.set(new TextEncoder().encode("HdrS"), 0x202);
  view.setUint16(0x206, version, true);
  view.setUint32(0x248, CODE_SIZE, true);
  view.setUint32(0x24c, payload.length, true);
  bytes.set(payload, payloadAt);
  return { bytes, view, payloadAt };
}
