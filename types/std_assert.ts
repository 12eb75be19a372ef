/** `@std/assert` from its npm mirror, which ships no types. */
// @ts-types="./std_assert.d.ts"
export * from "npm:deno-std@1.4.0/assert/mod.js";
