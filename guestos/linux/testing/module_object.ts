import { pipeThrough } from "../../testing/pipe_through.ts";

const SOURCE = `
.text
.globl first
first:
  call elsewhere
  movq $local, %rdi
local:
  ret
.section .modinfo,"a"
.asciz "name=lab"
.asciz "depends=one,two_three"
.section .note.gnu.build-id,"a",@note
.long 4, 4, 3
.asciz "GNU"
.long 0x12345678
# Code that the kernel rewrites, and the tables that tell where
.text
traced:
  .byte 0x0f, 0x1f, 0x44, 0, 0
switched:
  .byte 0x0f, 0x1f, 0x44, 0, 0
called:
  call elsewhere
locked:
  lock incl (%rdi)
target:
  ret
.data
key: .quad 0
called_key: .quad 0
.section __mcount_loc,"a"
  .quad traced
.section __jump_table,"aw"
  .long switched - ., target - .
  .quad key - .
.section .static_call_sites,"aw"
  .long called - ., called_key - .
.section .smp_locks,"a"
  .long locked - .
`;

/** Runs a script on a file, `$f`, which it changes. */
export function onFile(
  content: Uint8Array<ArrayBuffer>,
  script: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const whole = `f=$(mktemp); cat >$f; ${script}; cat $f; rm $f`;
  return pipeThrough(content, "sh", "-ec", whole);
}

/**
 * The file of a module, as gcc makes it: `first` calls `elsewhere`, which
 * another file defines, and takes the address of its own `local`; behind it
 * are places that the kernel rewrites.
 */
export function moduleObject(): Promise<Uint8Array<ArrayBuffer>> {
  return onFile(
    new TextEncoder().encode(SOURCE),
    "gcc -c -x assembler -o $f.o $f; mv $f.o $f",
  );
}
