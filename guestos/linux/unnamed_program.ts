const INT3 = 0xcc;
const MAX_PAGES = 256;
const HEADER_SIZE = 4;
/** `nop; push %rbp` between room for a call and for clearing registers */
const PROLOGUE = [0x0f, 0x1f, 0x44, 0x00, 0x00] as const;
const PUSH_RBP = 0x55;
const MAX_BEFORE_PUSH = 2;

/**
 * Pages of a BPF program that no list of the kernel has: up to 5.17 programs
 * have pages of their own, and classic ones (socket filters, seccomp) are not
 * told of. They begin with their number of pages (`struct bpf_binary_header`),
 * then breakpoints up to the program's first instructions.
 *
 * @param page The first page's bytes
 * @returns Number of pages; 0 if it is no such program
 */
export function unnamedProgram(page: Uint8Array): number {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const pages = view.getUint32(0, true);
  if (pages === 0 || pages > MAX_PAGES) return 0;
  let at = HEADER_SIZE;
  while (page[at] === INT3) at++;
  if (!PROLOGUE.every((byte, i) => page[at + i] === byte)) return 0;
  at += PROLOGUE.length;
  const push = page.subarray(at, at + MAX_BEFORE_PUSH + 1).indexOf(PUSH_RBP);
  return push < 0 ? 0 : pages;
}
