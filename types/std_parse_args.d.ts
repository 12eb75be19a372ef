/** The part of `@std/cli/parse-args` that the command line uses. */
export interface ParseOptions {
  string?: readonly string[];
  boolean?: readonly string[];
  collect?: readonly string[];
  negatable?: readonly string[];
  alias?: Record<string, string>;
  default?: Record<string, unknown>;
  stopEarly?: boolean;
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}
export function parseArgs(
  args: readonly string[],
  options: ParseOptions,
): { _: (string | number)[] } & Record<string, unknown>;
