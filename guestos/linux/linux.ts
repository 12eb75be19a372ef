import type { CpuState } from "../cpu_state.ts";
import type { KernelFile } from "../kernel_file.ts";
import type { KernelMemory } from "../memory.ts";
import type { ModuleDirectory } from "../module_directory.ts";
import { alignUp } from "../align_up.ts";
import type {
  AddressRange,
  Asset,
  CodeMap,
  Contradiction,
  EntryPoints,
  Profile,
  ProfileHints,
  ProfileModule,
  Region,
} from "../profile.ts";
import { ProfileError } from "../profile_error.ts";
import type { SymbolTable } from "../symbol_table.ts";
import { XenNote } from "../xen_note.ts";
import { bannerOf, readBanner } from "./banner.ts";
import { GuestReader } from "./guest_reader.ts";
import { GuestState } from "./guest_state.ts";
import { imageOfFile } from "./image_of_file.ts";
import { imageOfMemory } from "./image_of_memory.ts";
import type { LinuxImage } from "./linux_image.ts";
import { loadedCode } from "./loaded_code.ts";
import { locateKernel } from "./locate_kernel.ts";
import { ModulePredictor } from "./predict_module.ts";
import {
  afterInitContradictions,
  predictRodata,
  rodataRange,
} from "./predict_rodata.ts";
import { useSavedProfile } from "./saved_profile.ts";
import { predictText } from "./predict_text.ts";
import { unnamedProgram } from "./unnamed_program.ts";
import { TextSites } from "./text_sites.ts";

const PAGE_SIZE = 4096;

/** The kernel half; in that of a PV guest the first slots are Xen's */
const KERNEL_HALF = 0xffff_8000_0000_0000n;
const LARGE_KERNEL_HALF = 0xff00_0000_0000_0000n;
const CR4_LA57 = 1n << 12n;

/** Images that are changed each time a program is attached, up to 5.17 */
const WRITABLE_PROGRAM = /^bpf_(?:trampoline|dispatcher)_/;
const PV_KERNEL_HALF = 0xffff_8800_0000_0000n;
/** Where kernel and modules are */
const IMAGES = 0xffff_ffff_8000_0000n;
const LAST_PAGE = 0xffff_ffff_ffff_f000n;

/** Where system calls find their functions, by table and by code */
const DISPATCH = [
  "sys_call_table",
  "ia32_sys_call_table",
  "x32_sys_call_table",
  "x64_sys_call",
  "x32_sys_call",
  "ia32_sys_call",
  "do_syscall_64",
  "entry_SYSCALL_64",
];

/** Linux on x86-64, from 5.10 on. */
export const linux: ProfileModule = {
  name: "linux",

  recognises(kernel: KernelFile): boolean {
    return kernel.xenNote(XenNote.GUEST_OS) === "linux";
  },

  open(
    kernel: KernelFile | undefined,
    memory: KernelMemory,
    { saved, modules }: ProfileHints = {},
  ): Profile {
    const opened = openImage(kernel, memory, saved);
    const { image, banner, anchor } = opened;
    const { base } = image;
    memory.useRoot(memory.frame(image.address(image.need("init_top_pgt"))));
    checkRunning(image, memory);
    const pv = memory.cpus[0]?.kind === "pv";

    const textSize = Math.ceil(image.need("_etext") / PAGE_SIZE) * PAGE_SIZE;
    const { offset, size } = rodataRange(image);
    const foundText = new Uint8Array(textSize);
    memory.readInto(base, foundText);
    const foundData = new Uint8Array(size);
    memory.readInto(image.address(offset), foundData);
    const text = predictText(image, memory, foundText, pv);
    const rodata = predictRodata(image, foundData, kernel?.payload);
    const symbols = image.symbolTable;
    const state = new GuestState(image, memory);
    const predictor = modules === undefined || text.choices === undefined
      ? undefined
      : new ModulePredictor(state, modules, text.choices, pv);
    return {
      os: banner,
      symbols,
      regions: [
        {
          name: "kernel text",
          kind: "code",
          start: base,
          size: textSize,
          trusted: text.bytes,
          isFirstReading: !image.isOfFile,
          living: new TextSites(image, state, text.sites),
          assets: assets(symbols, base, textSize),
        },
        {
          name: "kernel read-only data",
          kind: "data",
          start: image.address(offset),
          size,
          trusted: rodata.bytes,
          isFirstReading: !image.isOfFile,
          sealable: true,
          executed: afterInit(image, offset, size),
          assets: assets(symbols, image.address(offset), size),
        },
        ...(pv ? [] : [interruptTable(image)]),
      ],
      handlers: new Map(),
      singleAddressSpace: false,
      protectable: false,
      contradictions: [
        ...opened.contradictions,
        ...[...afterInitContradictions(image, foundData)].map(
          ({ offset, reason }) => ({
            address: image.address(offset),
            summary: reason,
          }),
        ),
      ],
      notes: [
        `kernel at 0x${base.toString(16)} by ${anchor}, ` +
        `${symbols.size} symbols, ${image.btf.size} types, ` +
        `${text.sites.length} places that it rewrites itself`,
        ...modulesNote(modules, predictor !== undefined),
      ],
      booted: () => true,
      refresh: () => state.refresh(),
      codeMap: codeMap(state, memory.cpus[0]),
      loadedCode: () => loadedCode(state, text, predictor),
      ...onlineCpus(image, state),
      entryPoints: entryPoints(image),
      ...(pv ? {} : { idt: image.address(image.need("idt_table")) }),
    };
  },
};

/**
 * Pages of read-only data that the vDSO may be on, which processes run: all
 * that is constant only after boot, as the vDSO is.
 */
function afterInit(
  image: LinuxImage,
  offset: number,
  size: number,
): AddressRange {
  const range = image.between("__start_ro_after_init", "__end_ro_after_init") ??
    { offset, size };
  const first = range.offset - range.offset % PAGE_SIZE;
  return {
    start: image.address(first),
    size: alignUp(range.offset + range.size, PAGE_SIZE) - first,
  };
}

function modulesNote(
  modules: ModuleDirectory | undefined,
  used: boolean,
): string[] {
  if (modules === undefined) return [];
  const { path, size } = modules;
  return [
    used
      ? `modules are compared with the ${size} files in ${path}`
      : `the files in ${path} are not used: they need the kernel file, which ` +
        "is not known",
  ];
}

/** The interrupt descriptor table: it does not change after boot. */
function interruptTable(image: LinuxImage): Region {
  const start = image.address(image.need("idt_table"));
  const name = "interrupt descriptor table";
  return {
    name,
    kind: "data",
    start,
    size: PAGE_SIZE,
    sealable: true,
    assets: [{ name, start, size: PAGE_SIZE, kind: "descriptor table" }],
  };
}

/** Who owns executable memory in the kernel half. */
function codeMap(state: GuestState, cpu: CpuState | undefined): CodeMap {
  // Since 5.18; before, programs have pages of their own
  const hasPacks = state.image.btf.sizeOf("bpf_prog_pack") !== undefined;
  return {
    all: { start: kernelHalf(cpu), end: LAST_PAGE },
    usual: { start: IMAGES, end: LAST_PAGE },
    owners: () =>
      state.owners.owners.map(({ kind, name, start, end }) => ({
        name: `${kind} ${name}`,
        start,
        end,
        writable: !hasPacks && kind === "BPF program" &&
          WRITABLE_PROGRAM.test(name),
      })),
    unreadable: () => state.owners.unreadable,
    renew: () => state.renew(),
    ...(hasPacks ? {} : { pagesByLooks: unnamedProgram }),
  };
}

function kernelHalf(cpu: CpuState | undefined): bigint {
  if (cpu?.kind !== "hvm") return PV_KERNEL_HALF;
  return (cpu.cr4 & CR4_LA57) === 0n ? KERNEL_HALF : LARGE_KERNEL_HALF;
}

/** Which virtual CPUs are up, where the kernel tells (`cpu_online_mask`). */
function onlineCpus(
  image: LinuxImage,
  state: GuestState,
): Pick<Profile, "isOnline"> {
  const mask = image.offset("__cpu_online_mask");
  const size = image.btf.sizeOf("cpumask");
  if (mask === undefined || size === undefined) return {};
  return {
    isOnline: (vcpu) =>
      vcpu >= 8 * size ||
      (state.data.u8(mask + (vcpu >> 3)) >> (vcpu & 7) & 1) === 1,
  };
}

/** Where system calls enter the kernel. */
function entryPoints(image: LinuxImage): EntryPoints {
  const addresses = (...names: string[]) =>
    names.map((name) => image.offset(name)).filter((offset) =>
      offset !== undefined
    ).map((offset) => image.address(offset));
  return {
    lstar: addresses("entry_SYSCALL_64"),
    cstar: [
      ...addresses(
        "entry_SYSCALL_compat",
        "entry_SYSCALL32_ignore",
        "ignore_sysret",
      ),
      0n,
    ],
    sysenterIp: [...addresses("entry_SYSENTER_compat"), 0n],
  };
}

/**
 * Makes sure that the kernel has finished to patch itself and to protect its
 * memory.
 *
 * @throws {ProfileError} If it still boots, or died before it was up
 */
function checkRunning(image: LinuxImage, memory: KernelMemory): void {
  const running = image.btf.enumerator("system_states", "SYSTEM_RUNNING");
  const at = image.offset("system_state");
  if (running === undefined || at === undefined) return;
  const state = new GuestReader(memory, image.base).s32(at);
  if (state < running) {
    throw new ProfileError("boot", `it still boots (system_state ${state})`);
  }
  if (state === running) return;
  // The states of a kernel that goes down do not tell whether it ever was up
  const { ranges } = memory.mapped(image.base, image.base + BigInt(PAGE_SIZE));
  if (ranges.some(({ writable }) => writable)) {
    throw new ProfileError(
      "boot",
      `it went down before it was up (system_state ${state}, and its text is ` +
        "still writable)",
    );
  }
}

/** The kernel, from the best that is at hand. */
function openImage(
  kernel: KernelFile | undefined,
  memory: KernelMemory,
  saved: Uint8Array | undefined,
): {
  image: LinuxImage;
  banner: string;
  anchor: string;
  contradictions: Contradiction[];
} {
  const location = locateKernel(memory);
  const { base, anchor } = location;
  const contradictions: Contradiction[] = [];
  if (kernel !== undefined) {
    const image = imageOfFile(kernel, base);
    const banner = readBanner(image, memory);
    if (banner !== bannerOf(image)) {
      throw new ProfileError(
        "kernel file",
        `${kernel.path} (${bannerOf(image)}) is not the kernel that runs`,
      );
    }
    return { image, banner, anchor, contradictions };
  }
  const seen = imageOfMemory(memory, location);
  const banner = readBanner(seen, memory);
  if (saved === undefined) {
    return { image: seen, banner, anchor, contradictions };
  }
  const { image, differing } = useSavedProfile(seen, banner, saved);
  if (differing > 0) {
    contradictions.push({
      address: image.address(image.need("linux_banner")),
      summary: `${differing} symbols of the kernel are not those of the kept ` +
        "profile",
    });
  }
  return { image, banner, anchor, contradictions };
}

function assets(symbols: SymbolTable, start: bigint, size: number): Asset[] {
  return DISPATCH.flatMap((name) => {
    const symbol = symbols.get(name);
    const inside = symbol !== undefined && symbol.address >= start &&
      symbol.address < start + BigInt(size);
    return inside
      ? [{
        name,
        start: symbol.address,
        size: symbol.size,
        kind: "system call dispatch" as const,
      }]
      : [];
  });
}
