import type { GuestMemory } from "../memory.ts";
import { ProfileError } from "../profile_error.ts";
import { GuestReader } from "./guest_reader.ts";
import type { LinuxImage } from "./linux_image.ts";
import { ftraceSites } from "./patches/ftrace_sites.ts";
import { jumpLabels } from "./patches/jump_labels.ts";
import { lockPrefixes } from "./patches/lock_prefixes.ts";
import { type BootChoices, patchOnce } from "./patches/patch_once.ts";
import { patchSites } from "./patches/patch_sites.ts";
import type { Patching } from "./patches/patching.ts";
import type { ReturnThunk } from "./patches/returns.ts";
import { staticCalls } from "./patches/static_calls.ts";
import type { TextSite } from "./sites.ts";
import { branch, BRANCH_SIZE, CALL, JUMP } from "./x86_branch.ts";

/** What a guest's kernel text must be, and where it may change. */
export interface PredictedText {
  /** From `_text` to the end of the text's last page */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Ascending by place */
  readonly sites: readonly TextSite[];
  /** How the kernel returns from functions */
  readonly thunk: ReturnThunk;
  /** All that it chose when it booted; only its file tells */
  readonly choices?: BootChoices;
}

/**
 * The bytes that a guest's kernel text must have: those of the file, then each
 * change that the kernel makes of itself when it boots, from the file's own
 * tables and in the kernel's order (`alternative_instructions` in
 * arch/x86/kernel/alternative.c). Where the processor or the boot decides
 * between forms, the guest's data or the sites' majority does.
 *
 * @param image The kernel, relocated; its bytes are changed
 * @param memory The guest's memory
 * @param found The guest's text as it is now, as long as the prediction
 * @param pv Whether it is a PV guest of Xen
 * @throws {SyntaxError} If the kernel lacks what a table needs
 * @throws {UnreadableMemoryError} If the guest's data cannot be read
 */
export function predictText(
  image: LinuxImage,
  memory: GuestMemory,
  found: Uint8Array,
  pv: boolean,
): PredictedText {
  const guest = new GuestReader(memory, image.base);
  refuseUnknown(image, guest, found);
  const patching: Patching = {
    image,
    text: image.bytes,
    end: image.need("_etext"),
    found,
    guest,
    pv,
  };
  // Where only memory tells, the places alone are judged
  if (!image.isOfFile) image.bytes.set(found);
  // Before anything is patched: opcodes in the file tell the size of a site
  const labels = [...jumpLabels(patching)];
  const choices = image.isOfFile ? patchOnce(patching) : undefined;
  patchXenIret(patching);
  const thunk = choices?.thunk ?? {
    offset: guest.pointer(image.need("x86_return_thunk")),
    lowerHalf: false,
  };
  const sites = patchSites(patching, [
    ...labels,
    ...staticCalls(patching, thunk),
    ...ftraceSites(patching),
    ...ftraceTargets(patching),
    ...lockPrefixes(patching),
  ]);
  return {
    bytes: image.bytes.slice(0, found.length),
    sites,
    thunk,
    ...(choices === undefined ? {} : { choices }),
  };
}

/**
 * Refuses a kernel that patches itself in a way that is not predicted: better
 * no verdict than thousands of findings that are none.
 *
 * @throws {ProfileError} If it does
 * @throws {SyntaxError} If its file does not tell
 */
function refuseUnknown(
  image: LinuxImage,
  guest: GuestReader,
  found: Uint8Array,
): void {
  if (image.isOfFile && image.section(".altinstructions") === undefined) {
    throw new SyntaxError("The kernel's alternatives are of an unknown kind");
  }
  const nops = image.offset("ideal_nops");
  const usual = image.offset("p6_nops");
  if (nops !== undefined && guest.pointer(nops) !== usual) {
    throw new ProfileError(
      "tables",
      "it fills gaps with instructions for old processors (ideal_nops), which " +
        "are not predicted",
    );
  }
  const thunk = image.offset("x86_return_thunk");
  const counting = image.offset("call_depth_return_thunk");
  const inUse = thunk === undefined || thunk < found.length
    ? undefined
    : guest.pointer(thunk);
  if (counting !== undefined && inUse === counting) {
    throw new ProfileError(
      "tables",
      "it tracks the depth of calls (retbleed=stuff), which is not predicted",
    );
  }
}

/** Where ftrace's own trampolines call or jump to. */
function* ftraceTargets({ image }: Patching): Generator<TextSite> {
  const stub = image.offset("ftrace_stub");
  const target = image.offset("ftrace_trace_function");
  if (stub === undefined || target === undefined) return;
  for (const name of ["ftrace_call", "ftrace_regs_call"]) {
    const at = image.offset(name);
    if (at === undefined) continue;
    const none = branch(CALL, at, stub);
    yield {
      kind: "ftrace target",
      at,
      size: BRANCH_SIZE,
      forms: (guest) => [branch(CALL, at, guest.pointer(target) ?? stub)],
      others: [none],
    };
  }
  const at = image.offset("ftrace_graph_call");
  const graph = image.offset("ftrace_graph_caller");
  if (at === undefined || graph === undefined) return;
  const forms = [branch(JUMP, at, stub), branch(JUMP, at, graph)];
  yield { kind: "ftrace target", at, size: BRANCH_SIZE, forms: () => forms };
}

/** A PV guest returns from interrupts by Xen (`xen_start_kernel`). */
function patchXenIret({ image, text, pv }: Patching): void {
  const at = image.offset("early_xen_iret_patch");
  const target = image.offset("xen_iret");
  if (!pv || at === undefined || target === undefined) return;
  text.set(branch(JUMP, at, target), at);
}
