import type { GuestMemory } from "../memory.ts";
import { ProfileError } from "../profile_error.ts";
import { nop } from "../x86/nops.ts";
import { GuestReader } from "./guest_reader.ts";
import type { LinuxImage } from "./linux_image.ts";
import { patchAlternatives } from "./patches/alternatives.ts";
import { patchConstants } from "./patches/constants.ts";
import { jumpLabels } from "./patches/jump_labels.ts";
import { patchParavirt } from "./patches/paravirt.ts";
import { inText, type Patching, relativeOffsets } from "./patches/patching.ts";
import { patchRetpolines } from "./patches/retpolines.ts";
import {
  patchReturns,
  type ReturnThunk,
  returnThunk,
} from "./patches/returns.ts";
import { staticCalls } from "./patches/static_calls.ts";
import type { TextSite } from "./sites.ts";
import { branch, BRANCH_SIZE, CALL, JUMP } from "./x86_branch.ts";

const LOCK = 0xf0;
/** `ds`, which does nothing, in place of the prefix on one processor */
const NO_LOCK = 0x3e;
const ENDBR = [0xf3, 0x0f, 0x1e, 0xfa] as const;
/** In place of `endbr64` where no pointer leads, as NOPs of 4 bytes */
const SEALS = [[0x66, 0x0f, 0x1f, 0x00], [0x0f, 0x1f, 0x40, 0xd6]] as const;

/** What a guest's kernel text must be, and where it may change. */
export interface PredictedText {
  /** From `_text` to the end of the text's last page */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Ascending by place */
  readonly sites: readonly TextSite[];
  /** How the kernel returns from functions */
  readonly thunk: ReturnThunk;
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
  // Before anything is patched: opcodes in the file tell the size of a site
  const labels = [...jumpLabels(patching)];
  const thunk = image.isOfFile ? patchOnce(patching) : {
    offset: guest.pointer(image.need("x86_return_thunk")),
    lowerHalf: false,
  };
  const sites = [
    ...labels,
    ...staticCalls(patching, thunk),
    ...ftraceSites(patching),
    ...ftraceTargets(patching),
    ...lockPrefixes(patching),
  ].sort((a, b) => a.at - b.at);
  for (const { at, size, forms } of sites) {
    const all = forms(guest);
    const fits = all.find((form) =>
      form.every((byte, index) => byte === found[at + index])
    );
    patching.text.set((fits ?? all[0]!).subarray(0, size), at);
  }
  return { bytes: image.bytes.slice(0, found.length), sites, thunk };
}

/**
 * Refuses a kernel that patches itself in a way that is not predicted: better
 * no verdict than thousands of findings that are none.
 *
 * @throws {ProfileError} If it does
 */
function refuseUnknown(
  image: LinuxImage,
  guest: GuestReader,
  found: Uint8Array,
): void {
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

/**
 * What the kernel does to its text once, while it boots: in its own order.
 *
 * @returns How it returns from functions
 */
function patchOnce(patching: Patching): ReturnThunk {
  const { image } = patching;
  // Up to 5.11 paravirt calls come last
  const last = image.btf.member("paravirt_patch_template", "init.patch") !==
    undefined;
  if (!last) patchParavirt(patching);
  patchRetpolines(patching);
  const thunk = returnThunk(patching);
  patchReturns(patching, thunk);
  patchAlternatives(patching);
  seal(patching);
  if (last) patchParavirt(patching);
  patchConstants(patching);
  patchXenIret(patching);
  return thunk;
}

/** Without a pointer to them, functions lose the mark of a branch's target. */
function seal(patching: Patching): void {
  const { image, text, found } = patching;
  const places = [
    ...relativeOffsets(image, image.section(".ibt_endbr_seal")),
  ].filter((at) => inText(patching, at, ENDBR.length));
  const votes = SEALS.map((seal) =>
    places.filter((at) => seal.every((byte, i) => found[at + i] === byte))
      .length
  );
  const chosen = SEALS[votes.indexOf(Math.max(...votes))]!;
  for (const at of places) {
    if (ENDBR.every((byte, i) => text[at + i] === byte)) text.set(chosen, at);
  }
}

/** A PV guest returns from interrupts by Xen (`xen_start_kernel`). */
function patchXenIret({ image, text, pv }: Patching): void {
  const at = image.offset("early_xen_iret_patch");
  const target = image.offset("xen_iret");
  if (!pv || at === undefined || target === undefined) return;
  text.set(branch(JUMP, at, target), at);
}

/** The calls at the start of functions, which the kernel takes out. */
function* ftraceSites(patching: Patching): Generator<TextSite> {
  const { image } = patching;
  const table = image.between("__start_mcount_loc", "__stop_mcount_loc");
  const end = table === undefined ? 0 : table.offset + table.size;
  const form = nop(BRANCH_SIZE);
  for (let entry = table?.offset ?? 0; entry + 8 <= end; entry += 8) {
    // Entries of functions that were left out are 0
    const at = Number(image.view.getBigUint64(entry, true) - image.base);
    if (!inText(patching, at, BRANCH_SIZE)) continue;
    yield { kind: "ftrace", at, size: BRANCH_SIZE, forms: () => [form] };
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

/** Lock prefixes, which one processor does not need (`.smp_locks`). */
function* lockPrefixes(patching: Patching): Generator<TextSite> {
  const { image } = patching;
  const patched = image.offset("uniproc_patched");
  if (patched === undefined) return;
  for (const at of relativeOffsets(image, image.section(".smp_locks"))) {
    if (!inText(patching, at, 1) || image.bytes[at] !== LOCK) continue;
    yield {
      kind: "lock prefix",
      at,
      size: 1,
      forms: (guest) => [
        Uint8Array.of(guest.u8(patched) === 0 ? LOCK : NO_LOCK),
      ],
      others: [Uint8Array.of(LOCK), Uint8Array.of(NO_LOCK)],
    };
  }
}
