import { firstIndex } from "../first_index.ts";
import type { CodeChange, CodeState, LivingCode } from "../profile.ts";
import type { CodeOwners, FtraceHook } from "./code_owners.ts";
import { describeCode } from "./describe_code.ts";
import type { GuestState } from "./guest_state.ts";
import type { LinuxImage } from "./linux_image.ts";
import type { SiteKind, TextSite } from "./sites.ts";
import { BRANCH_SIZE, branchTarget, CALL, JUMP } from "./x86_branch.ts";

const INT3 = 0xcc;
/** First byte of a conditional jump, and the high half of its second */
const ESCAPE = 0x0f;
const JUMP_IF = 0x80;

/** What ftrace sites call before it is known what is hooked */
const COMMON_TRAMPOLINES = ["ftrace_caller", "ftrace_regs_caller"];

/** Answers that hold as long as the kernel's lists are not read again. */
interface Answers {
  readonly lists: CodeOwners;
  readonly hooks: Map<bigint, readonly FtraceHook[] | undefined>;
  readonly words: Map<bigint, string>;
  readonly isCode: Map<bigint, boolean>;
}

function remember<K, V>(known: Map<K, V>, key: K, find: () => V): V {
  let value = known.get(key);
  if (value === undefined && !known.has(key)) {
    value = find();
    known.set(key, value);
  }
  return value!;
}

/** Kinds of places whose target a variable of the guest names */
const FOLLOWED: readonly SiteKind[] = [
  "ftrace target",
  "static call",
  "static call trampoline",
];

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Whether a form is being written: a breakpoint first, the first byte last. */
function isBeingWritten(found: Uint8Array, form: Uint8Array): boolean {
  return found.length > 1 && found[0] === INT3 &&
    equal(found.subarray(1), form.subarray(1));
}

function foreign(summary: string): CodeState {
  return { kind: "foreign", summary };
}

/**
 * Judges what stands in a kernel's text by the tables of its own changes, and
 * by its lists of who hooks it.
 */
export class TextSites implements LivingCode {
  #image: LinuxImage;
  #state: GuestState;
  #sites: readonly TextSite[];
  #starts: Uint32Array;
  /** What was found out for one reading of the lists */
  #known: Answers | undefined;

  /**
   * @param image The kernel
   * @param state What the guest's data says, look by look
   * @param sites Ascending by place
   */
  constructor(
    image: LinuxImage,
    state: GuestState,
    sites: readonly TextSite[],
  ) {
    this.#image = image;
    this.#state = state;
    this.#sites = sites;
    this.#starts = Uint32Array.from(sites, ({ at }) => at);
  }

  get #lists(): CodeOwners {
    return this.#state.owners;
  }

  /** Tens of thousands of places have the same few targets. */
  get #answers(): Answers {
    const lists = this.#lists;
    if (this.#known?.lists !== lists) {
      this.#known = {
        lists,
        hooks: new Map(),
        words: new Map(),
        isCode: new Map(),
      };
    }
    return this.#known;
  }

  #siteAt(offset: number): TextSite | undefined {
    const starts = this.#starts;
    const behind = firstIndex(
      starts.length,
      (index) => starts[index]! > offset,
    );
    const site = this.#sites[behind - 1];
    return site !== undefined && offset < site.at + site.size
      ? site
      : undefined;
  }

  renew(): boolean {
    return this.#state.renew();
  }

  isUncertain(): boolean {
    return this.#lists.unreadable.length > 0;
  }

  isBusy(): boolean {
    return this.#state.isPatching;
  }

  judge(
    address: bigint,
    read: (address: bigint, size: number) => Uint8Array,
  ): CodeChange {
    const { base } = this.#image;
    const site = this.#siteAt(Number(address - base));
    if (site !== undefined) {
      const start = base + BigInt(site.at);
      const found = read(start, site.size);
      const state = this.#judgeSite(site, found);
      if (state.kind !== "foreign") return { start, size: site.size, state };
      return this.#judgeProbe(address, read) ??
        { start, size: site.size, state };
    }
    return this.#judgeProbe(address, read) ?? {
      start: address,
      size: 1,
      state: foreign("kernel code was changed"),
      isElsewhere: true,
    };
  }

  #judgeSite(site: TextSite, found: Uint8Array): CodeState {
    const forms = site.forms(this.#state.data);
    if (forms.some((form) => equal(found, form))) {
      return this.#judgeTarget(site, found);
    }
    const others = site.others ?? [];
    const changing = others.some((form) => equal(found, form)) ||
      [...forms, ...others].some((form) => isBeingWritten(found, form));
    if (changing) return { kind: "changing" };
    switch (site.kind) {
      case "ftrace":
        return this.#judgeFtrace(site, found);
      case "ftrace target":
      case "static call":
      case "static call trampoline":
        return this.#judgeOldCall(site, found);
      case "jump label":
      case "lock prefix":
        return foreign(
          `${site.kind} has none of the forms that the kernel gives it`,
        );
    }
  }

  /** A static call leads where its key says: that must be code, too. */
  #judgeTarget(site: TextSite, found: Uint8Array): CodeState {
    const { kind } = site;
    if (!FOLLOWED.includes(kind)) return { kind: "own" };
    const target = this.#calledFrom(site, found);
    return target === undefined || this.#isCode(target)
      ? { kind: "own" }
      : foreign(`${kind} leads to ${this.#describe(target)}`);
  }

  /**
   * Where a static call leads, if it is a branch; a breakpoint may stand in
   * place of its first byte.
   */
  #calledFrom({ at, size }: TextSite, found: Uint8Array): bigint | undefined {
    const [first, second = 0] = found;
    // A conditional jump is a byte longer than a jump
    const prefix = size - BRANCH_SIZE;
    const isBranch = first === INT3 ||
      (prefix === 0 ? first === CALL || first === JUMP : first === ESCAPE);
    const isCondition = (second & 0xf0) === JUMP_IF;
    if (!isBranch || prefix > 0 && !isCondition) return undefined;
    return this.#image.address(branchTarget(found, prefix, at + prefix));
  }

  /** Within the kernel the start of a function, outside what has an owner. */
  #isCode(target: bigint): boolean {
    const offset = Number(target - this.#image.base);
    if (this.#image.functionStarts.has(offset)) return true;
    return remember(
      this.#answers.isCode,
      target,
      () => this.#lists.isCallable(target),
    );
  }

  /** The call of before the key was changed, or of before that was written. */
  #judgeOldCall(site: TextSite, found: Uint8Array): CodeState {
    const target = this.#calledFrom(site, found);
    if (target === undefined) {
      return foreign(
        `${site.kind} has none of the forms that the kernel gives it`,
      );
    }
    return this.#isCode(target)
      ? { kind: "changing" }
      : foreign(`${site.kind} leads to ${this.#describe(target)}`);
  }

  #judgeFtrace({ at }: TextSite, found: Uint8Array): CodeState {
    const [first] = found;
    if (first !== CALL && first !== JUMP && first !== INT3) {
      return foreign("the start of a traced function was changed");
    }
    const start = this.#image.address(at);
    const target = this.#image.address(branchTarget(found, 0, at));
    // Up to 5.19 a dispatcher of BPF jumps, and nothing else does
    if (first === JUMP) {
      const owner = this.#lists.owner(target);
      return owner?.kind === "BPF program"
        ? { kind: "instrumented", by: `BPF program ${owner.name}` }
        : foreign("the start of a traced function was changed");
    }
    const hooks = this.#hooksOf(target);
    const own = hooks?.filter(({ functions }) =>
      functions === undefined || functions.has(start)
    );
    if (first === CALL && own !== undefined && own.length > 0) {
      const rogue = own.find((hook) => !this.#isCode(hook.function));
      return rogue !== undefined
        ? foreign(
          `ftrace calls ${this.#describe(rogue.function)} from here`,
        )
        : {
          kind: "instrumented",
          by: `ftrace hook ${
            own.map((hook) => this.#describe(hook.function)).sort().join(", ")
          }`,
        };
    }
    const owner = this.#lists.owner(target);
    if (owner?.kind === "BPF program") {
      return first === CALL
        ? { kind: "instrumented", by: `BPF program ${owner.name}` }
        : { kind: "changing" };
    }
    // It is being taken out, or put in
    const isTrampoline = hooks !== undefined ||
      this.#lists.trampolines.some(({ trampoline }) =>
        trampoline.start === target
      );
    if (isTrampoline) return { kind: "changing" };
    return foreign(
      first === CALL
        ? `traced function calls ${this.#describe(target)}`
        : "a breakpoint stands at the start of a traced function",
    );
  }

  /**
   * The hooks that a trampoline is for; all where it is a common one, and
   * `undefined` where it is none of ftrace.
   */
  #hooksOf(target: bigint): readonly FtraceHook[] | undefined {
    return remember(
      this.#answers.hooks,
      target,
      () => this.#findHooks(target),
    );
  }

  #findHooks(target: bigint): readonly FtraceHook[] | undefined {
    const { hooks } = this.#lists;
    const offset = Number(target - this.#image.base);
    const isCommon = COMMON_TRAMPOLINES.some((name) =>
      this.#image.offset(name) === offset
    );
    if (isCommon) return hooks;
    const found = hooks.filter(({ trampoline }) => trampoline.start === target);
    return found.length === 0 ? undefined : found;
  }

  /** A kprobe: a breakpoint, or a jump if it was optimized. */
  #judgeProbe(
    address: bigint,
    read: (address: bigint, size: number) => Uint8Array,
  ): CodeChange | undefined {
    for (let before = 0n; before < BigInt(BRANCH_SIZE); before++) {
      const start = address - before;
      const probe = this.#lists.probe(start);
      if (probe === undefined) continue;
      const instrumented = {
        kind: "instrumented",
        by: `kprobe ${
          probe.handler === 0n
            ? "without a handler"
            : this.#describe(probe.handler)
        }`,
      } as const;
      if (before === 0n && read(start, 1)[0] === INT3) {
        return { start, size: 1, state: instrumented };
      }
      if (probe.detour === 0n) continue;
      const found = read(start, BRANCH_SIZE);
      const at = Number(start - this.#image.base);
      const target = this.#image.address(branchTarget(found, 0, at));
      if (found[0] === INT3 || found[0] === JUMP && target === probe.detour) {
        return { start, size: BRANCH_SIZE, state: instrumented };
      }
    }
    return undefined;
  }

  #describe(address: bigint): string {
    return remember(
      this.#answers.words,
      address,
      () => describeCode(address, this.#image, this.#lists),
    );
  }
}
