/** A parameter or a result: its FFI type and its C declaration. */
interface Declaration {
  readonly ffi: string;
  readonly c: string;
}

/** One function of an FFI table, with what its comments say of it in C. */
export interface FfiFunction {
  readonly name: string;
  readonly parameters: readonly Declaration[];
  readonly result: Declaration;
}

/** C results of the FFI types whose comments tell a meaning, not a type */
const RESULTS: Readonly<Record<string, string>> = {
  i32: "int",
  bool: "bool",
  void: "void",
};

const FUNCTION = /^ {2}(\w+): \{\n {4}parameters: (\[.*?)^ {2}\},$/gms;
const PARAMETER = /"(\w+)"\]?,\s*\/\/ (.+)$/gm;
const RESULT = /^ {4}result: "(\w+)",(?: \/\/ ([^,:\n]+))?/m;

/**
 * Reads functions with their comments from the source of an FFI table.
 *
 * @param source Text of the module
 */
export function ffiDeclarations(source: string): FfiFunction[] {
  return Array.from(source.matchAll(FUNCTION), ([, name, body]) => {
    const end = body!.search(RESULT);
    const [, ffi, type] = RESULT.exec(body!)!;
    return {
      name: name!,
      parameters: Array.from(
        body!.slice(0, end).matchAll(PARAMETER),
        ([, ffi, c]) => ({ ffi: ffi!, c: c! }),
      ),
      result: { ffi: ffi!, c: RESULTS[ffi!] ?? type ?? "" },
    };
  });
}

const PRELUDE = `\
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <time.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xencall.h>
#include <xenctrl.h>
#include <xendevicemodel.h>
#include <xenevtchn.h>
#include <xenforeignmemory.h>
#include <xengnttab.h>
#include <xenstore.h>
#include <xentoollog.h>

/* gcc's class of pointers, as in its typeclass.h */
#define is_pointer(x) (__builtin_classify_type(x) == 5)
#define is_integer(x, size, sign) \\
	(!is_pointer(x) && sizeof(x) == size && \\
	 ((__typeof__(x))-1 < (__typeof__(x))1) == sign)
#define is_buffer(x) is_pointer(x)
#define is_bool(x) __builtin_types_compatible_p(__typeof__(x), bool)
#define is_i32(x) is_integer(x, 4, 1)
#define is_u16(x) is_integer(x, 2, 0)
#define is_u32(x) is_integer(x, 4, 0)
#define is_i64(x) is_integer(x, 8, 1)
#define is_u64(x) is_integer(x, 8, 0)
#define is_usize(x) __builtin_types_compatible_p(__typeof__(x), size_t)
#define CHECK(function, parameter, ffi) \\
	_Static_assert(is_##ffi(parameter), #function ": " #parameter " is no " #ffi)

`;

/**
 * C that compiles only if each function is in the headers as declared here,
 * and each of its parameters is of its FFI type.
 */
export function ffiCheck(functions: readonly FfiFunction[]): string {
  return PRELUDE + functions.map(({ name, parameters, result }) => {
    const list = parameters.map(({ c }) => c).join(", ") || "void";
    const checks = parameters.map(({ ffi, c }) => {
      const parameter = /(\w+)(?:\[\w*\])?$/.exec(c)![1];
      return `\tCHECK(${name}, ${parameter}, ${ffi});\n`;
    });
    const returns = result.ffi === "void"
      ? ""
      : `\tCHECK(${name}, *result, ${result.ffi});\n`;
    // The first line fails where no header declares the function
    return `extern __typeof__(${name}) ${name};\n` +
      `extern ${result.c} ${name}(${list});\n` +
      `void check_${name}(${list});\nvoid check_${name}(${list})\n{\n` +
      `\t${result.c} *result = NULL;\n\n\t(void)result;\n` +
      `${checks.join("")}${returns}}\n`;
  }).join("\n");
}
