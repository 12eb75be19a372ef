import type { KernelFile } from "./kernel_file.ts";
import type { GuestMemory, KernelMemory } from "./memory.ts";
import type { Profile, ProfileModule, Region } from "./profile.ts";
import { ProfileError } from "./profile_error.ts";
import { pvTrapTable } from "./pv_trap_table.ts";
import { simpleosFaultChannel } from "./simpleos_fault_channel.ts";
import { type GuestSymbol, SymbolTable } from "./symbol_table.ts";
import { XenNote } from "./xen_note.ts";

const PAGE_SIZE = 4096n;
const PAGE_FAULT_VECTOR = 14;
/** Far more than SimpleOS has of code or of invariant data, bytes */
const MAX_RANGE = 64n * 1024n * 1024n;

/**
 * SimpleOS, the small guest kernel of the tests, as a PV or a PVH guest. Source
 * of its symbols and of its notes: tests/simpleos.
 */
export const simpleos = {
  name: "simpleos",

  recognises(kernel: KernelFile): boolean {
    return kernel.xenNote(XenNote.GUEST_OS) === "SimpleOS";
  },

  /** @param memory Left out, it is that of a PV guest */
  open(
    kernel: KernelFile | undefined,
    memory?: Pick<KernelMemory, "cpus" | "read">,
  ): Profile {
    if (kernel === undefined) {
      throw new ProfileError(
        "kernel file",
        "SimpleOS is known by its file alone; name it with --kernel FILE",
      );
    }
    const { path, elf } = kernel;
    const symbols = new SymbolTable(elf.symbols);
    const text = range(path, symbols, "_text", "_etext");
    const invariant = range(
      path,
      symbols,
      "__invariant_start",
      "__invariant_end",
    );
    const pageFaultEntry = address(path, symbols, "page_fault_entry");
    const bootComplete = address(path, symbols, "boot_complete");
    const trapTable = symbols.address("trap_table");
    const isPvh = memory?.cpus[0]?.kind === "hvm";
    // It starts without page tables, and nothing of it can be seen before
    if (isPvh) memory.read(bootComplete, 4);
    const idt = isPvh ? symbols.address("idt_table") : undefined;
    const parts: readonly Part[] = [
      { ...text, name: "kernel text", kind: "code" },
      ...invariantParts(elf.symbols, invariant).map((part) =>
        isPvh ? { ...part, writable: true } : part
      ),
      ...idt === undefined ? [] : [interruptTable(idt)],
    ];
    return {
      os: [XenNote.GUEST_OS, XenNote.GUEST_VERSION]
        .map((type) => kernel.xenNote(type))
        .filter((text) => typeof text === "string" && text !== "")
        .join(" ") || "SimpleOS",
      symbols,
      regions: parts.map(({ end, ...part }) => {
        const { name, start } = part;
        const size = Number(end - start);
        const trusted = elf.bytesAt(start, size);
        if (trusted === undefined) {
          throw new SyntaxError(`${path} does not hold the whole ${name}`);
        }
        return { ...part, size, trusted, sealable: true };
      }),
      handlers: new Map([
        ...trapTable === undefined ? [] : pvTrapTable(elf, trapTable),
        [PAGE_FAULT_VECTOR, pageFaultEntry],
      ]),
      singleAddressSpace: true,
      // The page tables of a PVH guest are its own
      protectable: !isPvh,
      contradictions: [],
      notes: [],
      ...idt === undefined ? {} : { idt },
      faultChannel: simpleosFaultChannel,
      booted(memory: GuestMemory): boolean {
        const bytes = memory.read(bootComplete, 4);
        return new DataView(bytes.buffer, bytes.byteOffset, 4)
          .getUint32(0, true) === 1;
      },
    };
  },
} satisfies ProfileModule;

/** Guest virtual addresses, page aligned; `end` is the first one after it. */
interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** A region to be. */
type Part = Range & Omit<Region, "start" | "size" | "trusted">;

/** What a PVH guest has instead of handlers that Xen calls. */
function interruptTable(start: bigint): Part {
  const name = "interrupt descriptor table";
  const kind = "descriptor table";
  return {
    name,
    kind: "data",
    start,
    end: start + PAGE_SIZE,
    assets: [{ name, start, size: Number(PAGE_SIZE), kind }],
  };
}

function address(path: string, symbols: SymbolTable, name: string): bigint {
  const found = symbols.address(name);
  if (found === undefined) {
    throw new SyntaxError(`${path} lacks the symbol ${name} of SimpleOS`);
  }
  return found;
}

function range(
  path: string,
  symbols: SymbolTable,
  startName: string,
  endName: string,
): Range {
  const start = address(path, symbols, startName);
  const end = address(path, symbols, endName);
  if (start % PAGE_SIZE !== 0n || end % PAGE_SIZE !== 0n) {
    throw new SyntaxError(
      `${path}: ${startName} and ${endName} are not page aligned`,
    );
  }
  if (end <= start || end - start > MAX_RANGE) {
    throw new SyntaxError(
      `${path}: there is no sensible range from ${startName} to ${endName}`,
    );
  }
  return { start, end };
}

/**
 * The objects that begin a page of the invariant data, each with the pages
 * that it occupies, and the pages between them.
 */
function invariantParts(
  symbols: readonly GuestSymbol[],
  { start, end }: Range,
): Part[] {
  const objects = symbols.filter(({ address, size }) =>
    size > 0 && address % PAGE_SIZE === 0n && address >= start && address < end
  );
  // The largest first where several share an address: a table, then its slot
  objects.sort((a, b) =>
    a.address === b.address ? b.size - a.size : a.address < b.address ? -1 : 1
  );
  const parts: Part[] = [];
  let at = start;
  const addUpTo = (next: bigint, name: string) => {
    if (next > at) parts.push({ name, kind: "data", start: at, end: next });
    at = next;
  };
  for (const { name, address, size } of objects) {
    if (address < at) continue;
    addUpTo(address, "invariant data");
    const pages = (BigInt(size) + PAGE_SIZE - 1n) / PAGE_SIZE;
    const objectEnd = address + pages * PAGE_SIZE;
    addUpTo(objectEnd < end ? objectEnd : end, name);
  }
  addUpTo(end, "invariant data");
  return parts;
}
