import { icedCode } from "./iced_code.ts";

/** One instruction as people read it. */
export interface CodeLine {
  /** Guest virtual address */
  readonly address: bigint;
  readonly bytes: Uint8Array;
  /** As the GNU tools write it: `call 0xffffffff81000000`; `(bad)` for none */
  readonly text: string;
  /** The kernel address that it names: of a branch, of data, of a constant */
  readonly target?: bigint;
}

/** The functions of iced-x86 that are used (src/rust/iced-x86-js). */
interface Iced {
  readonly memory: WebAssembly.Memory;
  __wbindgen_add_to_stack_pointer(bytes: number): number;
  __wbindgen_malloc(size: number, align: number): number;
  __wbindgen_free(pointer: number, size: number, align: number): void;
  formatter_new(result: number, syntax: number): void;
  formatter_set_uppercaseHex(formatter: number, upper: boolean): void;
  formatter_format(
    result: number,
    formatter: number,
    instruction: number,
  ): void;
  decoder_new(
    result: number,
    bitness: number,
    code: number,
    length: number,
    options: number,
  ): void;
  decoder_set_ip(decoder: number, ip: bigint): void;
  decoder_set_position(result: number, decoder: number, at: number): void;
  decoder_decode(decoder: number): number;
  __wbg_decoder_free(decoder: number): void;
  __wbg_instruction_free(instruction: number): void;
  instruction_length(instruction: number): number;
  instruction_nearBranchTarget(instruction: number): bigint;
  instruction_memoryDisplacement(instruction: number): bigint;
  instruction_opCount(instruction: number): number;
  instruction_opKind(
    result: number,
    instruction: number,
    operand: number,
  ): void;
  instruction_immediate(
    result: number,
    instruction: number,
    operand: number,
  ): void;
}

/** `FormatterSyntax.Gas` */
const AT_AND_T = 0;
const BAD = "(bad)";
/** `OpKind`: immediates of 64 bits, some of them from fewer */
const WIDE_IMMEDIATES = [10, 13, 14];
/** The kernel half of the address space */
const KERNEL_HALF = 0xffff_8000_0000_0000n;
/** Room for what a function returns in memory */
const RESULT_SIZE = 16;

/**
 * Disassembles 64-bit x86 code, whatever it is, with iced-x86. Its own
 * JavaScript reads its code from a file, which a program in one file has not.
 */
export class Disassembler {
  #iced: Iced;
  #formatter: number;

  private constructor(iced: Iced) {
    this.#iced = iced;
    this.#formatter = this.#returned(
      (result) => iced.formatter_new(result, AT_AND_T),
      (at) => at.getUint32(0, true),
    );
    iced.formatter_set_uppercaseHex(this.#formatter, false);
  }

  /** Loads it, which most runs of the program never need. */
  static async load(): Promise<Disassembler> {
    const module = await WebAssembly.compile(await icedCode());
    // They are for what is not used here, and for failures
    const imports = WebAssembly.Module.imports(module).map(({ name }) => [
      name,
      () => {
        throw new Error(`The disassembler failed (${name})`);
      },
    ]);
    const { exports } = await WebAssembly.instantiate(module, {
      __wbindgen_placeholder__: Object.fromEntries(imports),
    });
    return new Disassembler(exports as unknown as Iced);
  }

  /** Calls a function that puts what it returns into memory. */
  #returned<T>(call: (result: number) => void, read: (at: DataView) => T): T {
    const iced = this.#iced;
    const result = iced.__wbindgen_add_to_stack_pointer(-RESULT_SIZE);
    try {
      call(result);
      return read(new DataView(iced.memory.buffer, result, RESULT_SIZE));
    } finally {
      iced.__wbindgen_add_to_stack_pointer(RESULT_SIZE);
    }
  }

  /**
   * Disassembles code from its first byte on. An instruction that is cut off
   * at its end is left out.
   *
   * @param code It is not trusted
   * @param address Guest virtual address of its first byte
   */
  disassemble(code: Uint8Array, address: bigint): CodeLine[] {
    const iced = this.#iced;
    const copy = iced.__wbindgen_malloc(code.length, 1);
    new Uint8Array(iced.memory.buffer).set(code, copy);
    // It takes the copy over
    const decoder = this.#returned(
      (result) => iced.decoder_new(result, 64, copy, code.length, 0),
      (at) => at.getUint32(0, true),
    );
    try {
      return [...this.#lines(decoder, code, address)];
    } finally {
      iced.__wbg_decoder_free(decoder);
    }
  }

  *#lines(
    decoder: number,
    code: Uint8Array,
    address: bigint,
  ): Generator<CodeLine> {
    const iced = this.#iced;
    for (let at = 0; at < code.length;) {
      this.#moveTo(decoder, at, address);
      const instruction = iced.decoder_decode(decoder);
      try {
        const text = this.#format(instruction);
        const isBad = text === BAD;
        const whole = iced.instruction_length(instruction);
        if (whole === 0 || isBad && at + whole >= code.length) return;
        // Behind a byte that is no instruction there may be one at once
        const length = isBad ? 1 : whole;
        const target = this.#target(instruction);
        yield {
          address: address + BigInt(at),
          bytes: code.slice(at, at + length),
          text,
          ...(target === undefined ? {} : { target }),
        };
        at += length;
      } finally {
        iced.__wbg_instruction_free(instruction);
      }
    }
  }

  #moveTo(decoder: number, at: number, address: bigint): void {
    const iced = this.#iced;
    this.#returned(
      (result) => iced.decoder_set_position(result, decoder, at),
      () => {},
    );
    iced.decoder_set_ip(decoder, BigInt.asIntN(64, address + BigInt(at)));
  }

  #format(instruction: number): string {
    const iced = this.#iced;
    const [text, length] = this.#returned(
      (result) => iced.formatter_format(result, this.#formatter, instruction),
      (at) => [at.getUint32(0, true), at.getUint32(4, true)] as const,
    );
    const bytes = new Uint8Array(iced.memory.buffer, text, length);
    try {
      return new TextDecoder().decode(bytes);
    } finally {
      iced.__wbindgen_free(text, length, 1);
    }
  }

  #target(instruction: number): bigint | undefined {
    const iced = this.#iced;
    return [
      iced.instruction_nearBranchTarget(instruction),
      iced.instruction_memoryDisplacement(instruction),
      ...this.#immediates(instruction),
    ].map((value) => BigInt.asUintN(64, value))
      .find((value) => value >= KERNEL_HALF);
  }

  *#immediates(instruction: number): Generator<bigint> {
    const iced = this.#iced;
    const count = iced.instruction_opCount(instruction);
    for (let operand = 0; operand < count; operand++) {
      const kind = this.#returned(
        (result) => iced.instruction_opKind(result, instruction, operand),
        (at) => at.getUint32(0, true),
      );
      if (!WIDE_IMMEDIATES.includes(kind)) continue;
      yield this.#returned(
        (result) => iced.instruction_immediate(result, instruction, operand),
        (at) => at.getBigUint64(0, true),
      );
    }
  }
}
