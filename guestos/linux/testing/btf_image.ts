/** `BTF_KIND_*` */
export const btfKinds = {
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  function: 12,
  functionPrototype: 13,
  variable: 14,
  section: 15,
  float: 16,
  declarationTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;

/** A member to be: its name, its type, where it is. */
export interface BtfMember {
  /** Anonymous where left out */
  name?: string;
  type: number;
  /** Bits from the start of the structure */
  bit: number;
  /** Of a bitfield, bits */
  width?: number;
}

/**
 * Writes BTF for the tests (Documentation/bpf/btf.rst in Linux). Types have the
 * numbers that the methods give, from 1 on; a number may be used before its
 * type is added.
 */
export class BtfImage {
  #types: number[] = [];
  #count = 0;
  #strings = [0];
  #known = new Map([["", 0]]);

  /** Offset of a string, which is added if there is none such. */
  string(text: string): number {
    let offset = this.#known.get(text);
    if (offset === undefined) {
      offset = this.#strings.length;
      this.#known.set(text, offset);
      this.#strings.push(...new TextEncoder().encode(text), 0);
    }
    return offset;
  }

  /**
   * Adds a type of any kind.
   *
   * @param kind `BTF_KIND_*`
   * @param name Empty for none
   * @param sizeOrType What the third word of the type holds
   * @param tail Words behind it
   * @param entries Its `vlen`
   * @param flag Its `kind_flag`
   */
  add(
    kind: number,
    name: string,
    sizeOrType: number,
    tail: readonly number[] = [],
    entries = 0,
    flag = false,
  ): number {
    this.#types.push(
      this.string(name),
      Number(flag) << 31 | kind << 24 | entries,
      sizeOrType,
    );
    for (const word of tail) this.#types.push(word);
    return ++this.#count;
  }

  int(name: string, size: number): number {
    return this.add(btfKinds.int, name, size, [8 * size]);
  }

  pointer(type: number): number {
    return this.add(btfKinds.pointer, "", type);
  }

  array(type: number, count: number): number {
    return this.add(btfKinds.array, "", 0, [type, 1, count]);
  }

  struct(name: string, size: number, members: readonly BtfMember[]): number {
    return this.#composite(btfKinds.struct, name, size, members);
  }

  union(name: string, size: number, members: readonly BtfMember[]): number {
    return this.#composite(btfKinds.union, name, size, members);
  }

  #composite(
    kind: number,
    name: string,
    size: number,
    members: readonly BtfMember[],
  ): number {
    const flag = members.some(({ width }) => width !== undefined);
    return this.add(
      kind,
      name,
      size,
      members.flatMap(({ name = "", type, bit, width = 0 }) => [
        this.string(name),
        type,
        flag ? width << 24 | bit : bit,
      ]),
      members.length,
      flag,
    );
  }

  enum(name: string, values: Readonly<Record<string, number>>): number {
    const entries = Object.entries(values);
    return this.add(
      btfKinds.enum,
      name,
      4,
      entries.flatMap(([name, value]) => [this.string(name), value]),
      entries.length,
    );
  }

  typedef(name: string, type: number): number {
    return this.add(btfKinds.typedef, name, type);
  }

  const(type: number): number {
    return this.add(btfKinds.const, "", type);
  }

  volatile(type: number): number {
    return this.add(btfKinds.volatile, "", type);
  }

  /** Header, types and strings. */
  get bytes(): Uint8Array<ArrayBuffer> {
    const typesSize = 4 * this.#types.length;
    const bytes = new Uint8Array(24 + typesSize + this.#strings.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 0xeb9f, true);
    view.setUint8(2, 1);
    view.setUint32(4, 24, true);
    view.setUint32(12, typesSize, true);
    view.setUint32(16, typesSize, true);
    view.setUint32(20, this.#strings.length, true);
    for (const [index, word] of this.#types.entries()) {
      view.setUint32(24 + 4 * index, word, true);
    }
    bytes.set(this.#strings, 24 + typesSize);
    return bytes;
  }
}
