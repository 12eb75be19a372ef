/** Opcodes of near branches with a 32-bit distance */
export const CALL = 0xe8;
export const JUMP = 0xe9;

/** Bytes of a call or jump with a 32-bit distance. */
export const BRANCH_SIZE = 5;

/**
 * A call or jump with a 32-bit distance.
 *
 * @param opcode {@linkcode CALL} or {@linkcode JUMP}
 * @param at Offset of the instruction
 * @param target Offset of where it leads
 */
export function branch(
  opcode: number,
  at: number,
  target: number,
): Uint8Array {
  const bytes = new Uint8Array(BRANCH_SIZE);
  bytes[0] = opcode;
  new DataView(bytes.buffer).setInt32(1, target - at - BRANCH_SIZE, true);
  return bytes;
}

/**
 * Where a call or jump leads.
 *
 * @param bytes The instruction is somewhere in them
 * @param index Position of the instruction's first byte in them
 * @param at Offset of the instruction
 */
export function branchTarget(
  bytes: Uint8Array,
  index: number,
  at: number,
): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return at + BRANCH_SIZE + view.getInt32(index + 1, true);
}
