const MAGIC = 0xeb9f;
const HEADER_SIZE = 24;
const TYPE_SIZE = 12;
/** Largest BTF of a kernel: distributions have 3 to 6 MiB */
const MAX_SIZE = 64 << 20;
const MAX_TYPES = 1_000_000;
/** Anonymous structures within others, and modifiers of one type */
const MAX_DEPTH = 32;
/** Members that are looked at for one answer: nests may be forged */
const MAX_MEMBERS = 100_000;
/** Bytes of one member: arrays of arrays may be forged */
const MAX_MEMBER_SIZE = 2 ** 32;
const POINTER_SIZE = 8;

/** `BTF_KIND_*` (include/uapi/linux/btf.h) */
const kinds = {
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  functionPrototype: 13,
  variable: 14,
  section: 15,
  float: 16,
  declarationTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;

/** Bytes behind a type's header, for each of its entries or once */
const ENTRY_SIZES: Readonly<Record<number, number>> = {
  [kinds.struct]: 12,
  [kinds.union]: 12,
  [kinds.enum]: 8,
  [kinds.functionPrototype]: 8,
  [kinds.section]: 12,
  [kinds.enum64]: 12,
};
const TAIL_SIZES: Readonly<Record<number, number>> = {
  [kinds.int]: 4,
  [kinds.array]: 12,
  [kinds.variable]: 4,
  [kinds.declarationTag]: 4,
};
const MAX_KIND = kinds.enum64;

const encoder = new TextEncoder();

/** A member of a structure. */
export interface Member {
  /** Bytes from the start of the structure */
  readonly offset: number;
  /** Bytes; 0 where the type does not tell */
  readonly size: number;
}

/**
 * The kernel's description of its own types (BTF), as in its memory between
 * `__start_BTF` and `__stop_BTF`. It is hostile: positions are checked, counts
 * and depths have limits.
 *
 * Source: Documentation/bpf/btf.rst in Linux.
 */
export class Btf {
  readonly #data: DataView;
  readonly #bytes: Uint8Array;
  /** Where each type begins, by type number; number 0 is `void` */
  readonly #types: Uint32Array;
  readonly #strings: number;
  readonly #stringsEnd: number;
  /** Numbers of the structures and enumerations that have a name */
  readonly #named: Uint32Array;
  /** What `find` answered, by name and kind */
  readonly #found = new Map<string, number | undefined>();

  /**
   * @param bytes From `__start_BTF` to `__stop_BTF`
   * @throws {SyntaxError} If it is no BTF; the message says where it ends to be
   */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#data = new DataView(
      bytes.buffer,
      bytes.byteOffset,
      bytes.byteLength,
    );
    if (bytes.length < HEADER_SIZE || bytes.length > MAX_SIZE) {
      throw new SyntaxError(`BTF of ${bytes.length} bytes`);
    }
    if (this.#data.getUint16(0, true) !== MAGIC || bytes[2] !== 1) {
      throw new SyntaxError("BTF does not begin with magic and version");
    }
    const header = this.#data.getUint32(4, true);
    const typesAt = header + this.#data.getUint32(8, true);
    const typesEnd = typesAt + this.#data.getUint32(12, true);
    this.#strings = header + this.#data.getUint32(16, true);
    this.#stringsEnd = this.#strings + this.#data.getUint32(20, true);
    const fits = header >= HEADER_SIZE && typesEnd <= bytes.length &&
      this.#stringsEnd <= bytes.length;
    if (!fits) throw new SyntaxError("BTF reaches beyond its end");
    [this.#types, this.#named] = this.#indexTypes(typesAt, typesEnd);
  }

  #indexTypes(start: number, end: number): [Uint32Array, Uint32Array] {
    const most = Math.floor((end - start) / TYPE_SIZE);
    const types = new Uint32Array(Math.min(most, MAX_TYPES) + 1);
    const named = new Uint32Array(types.length);
    let type = 0;
    let names = 0;
    for (let at = start; at + TYPE_SIZE <= end;) {
      if (++type > MAX_TYPES) throw new SyntaxError("BTF has no end");
      types[type] = at;
      const info = this.#data.getUint32(at + 4, true);
      const kind = kindOf(info);
      if (kind === 0 || kind > MAX_KIND) {
        throw new SyntaxError(`BTF type ${type} is of no kind`);
      }
      const wanted = kind === kinds.struct || kind === kinds.enum;
      if (wanted && this.#data.getUint32(at, true) !== 0) named[names++] = type;
      at += TYPE_SIZE + (TAIL_SIZES[kind] ?? 0) +
        (ENTRY_SIZES[kind] ?? 0) * (info & 0xffff);
      if (at > end) throw new SyntaxError("A BTF type is cut off");
    }
    return [types.slice(0, type + 1), named.slice(0, names)];
  }

  /** Whether the string at an offset is the one given. */
  #isString(offset: number, wanted: Uint8Array): boolean {
    const from = this.#strings + offset;
    if (from + wanted.length >= this.#stringsEnd) return false;
    for (let index = 0; index < wanted.length; index++) {
      if (this.#bytes[from + index] !== wanted[index]) return false;
    }
    return this.#bytes[from + wanted.length] === 0;
  }

  /** Number of types. */
  get size(): number {
    return this.#types.length - 1;
  }

  /** The first type of a name and kind. */
  #find(name: string, kind: number): number | undefined {
    const key = `${kind} ${name}`;
    // An index of names would cost more than the few that are asked for
    if (!this.#found.has(key)) this.#found.set(key, this.#search(name, kind));
    return this.#found.get(key);
  }

  #search(name: string, kind: number): number | undefined {
    const wanted = encoder.encode(name);
    return this.#named.find((type) => {
      const at = this.#types[type]!;
      return kindOf(this.#data.getUint32(at + 4, true)) === kind &&
        this.#isString(this.#data.getUint32(at, true), wanted);
    });
  }

  /**
   * Bytes of a structure.
   *
   * @param name Without `struct`
   * @returns `undefined` if there is no such structure
   */
  sizeOf(name: string): number | undefined {
    const type = this.#find(name, kinds.struct);
    return type === undefined
      ? undefined
      : this.#data.getUint32(this.#types[type]! + 8, true);
  }

  /**
   * A member of a structure, anonymous structures and unions included.
   *
   * @param structure Name without `struct`
   * @param path Name of the member, or `member.member`
   * @returns `undefined` if there is no such structure or member
   */
  member(structure: string, path: string): Member | undefined {
    let type = this.#find(structure, kinds.struct);
    let offset = 0;
    const budget = { members: MAX_MEMBERS };
    for (const name of path.split(".")) {
      if (type === undefined) return undefined;
      const wanted = encoder.encode(name);
      const found = this.#memberOf(type, wanted, MAX_DEPTH, budget);
      if (found === undefined) return undefined;
      offset += found.offset;
      type = found.type;
    }
    return { offset, size: this.#sizeOfType(type) };
  }

  #memberOf(
    type: number,
    name: Uint8Array,
    depth: number,
    budget: { members: number },
  ): { offset: number; type: number } | undefined {
    const resolved = this.#resolve(type);
    const at = this.#types[resolved];
    if (resolved === 0 || at === undefined || depth === 0) return undefined;
    const info = this.#data.getUint32(at + 4, true);
    const kind = kindOf(info);
    if (kind !== kinds.struct && kind !== kinds.union) return undefined;
    const hasBitfields = info >>> 31 === 1;
    for (let index = 0; index < (info & 0xffff); index++) {
      if (--budget.members < 0) return undefined;
      const entry = at + TYPE_SIZE + 12 * index;
      const memberName = this.#data.getUint32(entry, true);
      const memberType = this.#data.getUint32(entry + 4, true);
      const raw = this.#data.getUint32(entry + 8, true);
      const offset = (hasBitfields ? raw & 0xff_ffff : raw) >>> 3;
      if (memberName === 0) {
        const inner = this.#memberOf(memberType, name, depth - 1, budget);
        if (inner !== undefined) {
          return { offset: offset + inner.offset, type: inner.type };
        }
      } else if (this.#isString(memberName, name)) {
        return { offset, type: memberType };
      }
    }
    return undefined;
  }

  /** Follows typedefs and modifiers; 0 where that does not end. */
  #resolve(type: number): number {
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const at = this.#types[type];
      if (type === 0 || at === undefined) return 0;
      const kind = kindOf(this.#data.getUint32(at + 4, true));
      const modifies = kind === kinds.typedef || kind === kinds.volatile ||
        kind === kinds.const || kind === kinds.restrict ||
        kind === kinds.typeTag;
      if (!modifies) return type;
      type = this.#data.getUint32(at + 8, true);
    }
    return 0;
  }

  #sizeOfType(type: number | undefined): number {
    let count = 1;
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const resolved = this.#resolve(type ?? 0);
      if (resolved === 0) return 0;
      const at = this.#types[resolved]!;
      const kind = kindOf(this.#data.getUint32(at + 4, true));
      if (kind === kinds.array) {
        count *= this.#data.getUint32(at + TYPE_SIZE + 8, true);
        type = this.#data.getUint32(at + TYPE_SIZE, true);
        continue;
      }
      const sized = kind === kinds.int || kind === kinds.float ||
        kind === kinds.struct || kind === kinds.union ||
        kind === kinds.enum || kind === kinds.enum64;
      const size = kind === kinds.pointer
        ? POINTER_SIZE
        : sized
        ? this.#data.getUint32(at + 8, true)
        : 0;
      return size * count <= MAX_MEMBER_SIZE ? size * count : 0;
    }
    return 0;
  }

  /**
   * The value of an enumerator.
   *
   * @param enumeration Name without `enum`
   * @returns `undefined` if there is none
   */
  enumerator(enumeration: string, name: string): number | undefined {
    const type = this.#find(enumeration, kinds.enum);
    if (type === undefined) return undefined;
    const wanted = encoder.encode(name);
    const at = this.#types[type]!;
    const count = this.#data.getUint32(at + 4, true) & 0xffff;
    for (let index = 0; index < count; index++) {
      const entry = at + TYPE_SIZE + 8 * index;
      if (this.#isString(this.#data.getUint32(entry, true), wanted)) {
        return this.#data.getInt32(entry + 4, true);
      }
    }
    return undefined;
  }
}

function kindOf(info: number): number {
  return info >>> 24 & 0x1f;
}
