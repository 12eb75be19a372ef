import { branch, BRANCH_SIZE, CALL, JUMP } from "../x86_branch.ts";
import { fillNops } from "./fill_nops.ts";
import { inText, type Patching } from "./patching.ts";

/** `struct paravirt_patch_site`; the last one has no padding */
const STRIDE = 16;
const USED = 10;
const SLOT_SIZE = 8;

/** What 5.10 writes in place of a native operation, by its place in `pv_ops` */
const NATIVE: Readonly<Record<string, readonly number[]>> = {
  "irq.irq_disable": [0xfa], // cli
  "irq.irq_enable": [0xfb], // sti
  "irq.save_fl": [0x9c, 0x58], // pushf; pop %rax
  "irq.restore_fl": [0x57, 0x9d], // push %rdi; popf
  "mmu.read_cr2": [0x0f, 0x20, 0xd0], // mov %cr2, %rax
  "mmu.read_cr3": [0x0f, 0x20, 0xd8], // mov %cr3, %rax
  "mmu.write_cr3": [0x0f, 0x22, 0xdf], // mov %rdi, %cr3
  "cpu.wbinvd": [0x0f, 0x09], // wbinvd
};
/** The same, only where the operation is the native one */
const NATIVE_LOCKS: Readonly<Record<string, [string, readonly number[]]>> = {
  "lock.queued_spin_unlock": [
    "__raw_callee_save___native_queued_spin_unlock",
    [0xc6, 0x07, 0x00], // movb $0, (%rdi)
  ],
  "lock.vcpu_is_preempted": [
    "__raw_callee_save___native_vcpu_is_preempted",
    [0x31, 0xc0], // xor %eax, %eax
  ],
};
const IDENTITY = [0x48, 0x89, 0xf8]; // mov %rdi, %rax
const UD2 = [0x0f, 0x0b];

/**
 * Replaces calls through `pv_ops` by direct ones, as `apply_paravirt` does up
 * to 6.7; later kernels do it by alternatives.
 */
export function patchParavirt(patching: Patching): void {
  const { image, text, guest } = patching;
  const table = image.section(".parainstructions");
  if (table === undefined) return;
  const operations = image.need("pv_ops");
  // Before 5.12 a patcher of its own knows instructions
  const patcher = image.btf.member("paravirt_patch_template", "init.patch");
  const native = patcher === undefined
    ? new Map<number, readonly number[]>()
    : nativeCode(patching, operations, patcher.offset);
  const iret = patcher === undefined
    ? undefined
    : image.btf.member("paravirt_patch_template", "cpu.iret")?.offset;
  const nop = image.offset("_paravirt_nop");
  const identity = patcher && image.offset("_paravirt_ident_64");

  const end = table.offset + table.size;
  for (let entry = table.offset; entry + USED <= end; entry += STRIDE) {
    const at = Number(image.view.getBigUint64(entry, true) - image.base);
    const type = image.view.getUint8(entry + 8) * SLOT_SIZE;
    const length = image.view.getUint8(entry + 9);
    if (!inText(patching, at, length)) continue;
    const target = guest.pointer(operations + type);
    let code = native.get(type) ?? [];
    if (code.length === 0) {
      if (target === undefined) {
        code = patcher === undefined
          ? [...branch(CALL, at, image.need("paravirt_BUG"))]
          : UD2;
      } else if (target === identity) code = IDENTITY;
      else if (target !== nop) {
        code = [...branch(type === iret ? JUMP : CALL, at, target)];
      }
    }
    if (code.length > length || length > 16 + BRANCH_SIZE) {
      throw new SyntaxError("A paravirt call is shorter than its replacement");
    }
    text.set(code, at);
    fillNops(text, at + code.length, at + length, "runs");
  }
}

/** What `native_patch` writes, by place in `pv_ops`; nothing for a PV guest. */
function nativeCode(
  { image, guest }: Patching,
  operations: number,
  patcherAt: number,
): Map<number, readonly number[]> {
  const code = new Map<number, readonly number[]>();
  const patcher = guest.pointer(operations + patcherAt);
  if (patcher !== image.need("native_patch")) return code;
  const place = (path: string) =>
    image.btf.member("paravirt_patch_template", path)?.offset;
  for (const [path, bytes] of Object.entries(NATIVE)) {
    const at = place(path);
    if (at !== undefined) code.set(at, bytes);
  }
  for (const [path, [name, bytes]] of Object.entries(NATIVE_LOCKS)) {
    const at = place(path);
    if (at === undefined) continue;
    if (guest.pointer(operations + at) === image.offset(name)) {
      code.set(at, bytes);
    }
  }
  return code;
}
