import { type BuildInfo, buildInfo } from "./build_info.ts";

/**
 * The line that `xkmon --version` prints: release, target, how it was built,
 * commit and runtime.
 *
 * @example
 * ```ts
 * versionText();
 * // "xkmon 0.1.0 (x86_64-unknown-linux-gnu, bundle, commit 1a2b3c4, deno 2.9.5)"
 * ```
 *
 * @param info Facts of the build; those of the running program by default.
 * @returns One line without a line break.
 */
export function versionText(info: BuildInfo = buildInfo): string {
  const details = [
    Deno.build.target,
    info.method,
    `commit ${info.commit}`,
    `deno ${Deno.version.deno}`,
  ];
  return `xkmon ${info.version} (${details.join(", ")})`;
}
