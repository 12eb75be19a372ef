import type { SimpleOSFile } from "./simpleos_file.ts";

/** What a finding must show, told by the kernel's file. */
export type ToldByFile = (file: SimpleOSFile) => string;

const PAGE_SIZE = 4096n;

/** The address of a symbol as it lies in memory. */
export function pointerTo(symbol: string): ToldByFile {
  return (file) => {
    const bytes = new Uint8Array(8);
    const { address } = file.symbol(symbol);
    new DataView(bytes.buffer).setBigUint64(0, address, true);
    return bytes.toHex();
  };
}

/** The first bytes of a symbol, as many as `size` says. */
export function bytesOf(
  symbol: string,
  size: (file: SimpleOSFile) => number,
): ToldByFile {
  return (file) => file.bytes(symbol, size(file));
}

/** The address of a symbol. */
export function addressOf(symbol: string): ToldByFile {
  return (file) => `0x${file.symbol(symbol).address.toString(16)}`;
}

/** The address of the page in which a symbol lies. */
export function pageOf(symbol: string): ToldByFile {
  return (file) => {
    const { address } = file.symbol(symbol);
    return `0x${(address - address % PAGE_SIZE).toString(16)}`;
  };
}
