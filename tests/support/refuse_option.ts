/**
 * What `parseArgs` does about an option that a command does not have: it says
 * so and ends with exit status 2, as a run of an hour is no answer to a typing
 * error.
 *
 * @module
 */

/**
 * Makes the `unknown` of a command's `parseArgs`.
 *
 * @example
 * ```ts
 * import { parseArgs } from "@std/cli/parse-args";
 *
 * const { count } = parseArgs(["--count", "5"], {
 *   string: ["count"],
 *   unknown: refuseOption("[--count N]"),
 * });
 * ```
 *
 * @param usage the options that there are
 */
export function refuseOption(usage: string): (word: string) => never {
  return (word) => {
    console.error(`${word} is no option here. There are: ${usage}`);
    Deno.exit(2);
  };
}
