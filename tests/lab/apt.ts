import { hostCommand } from "./host_command.ts";
import { type AptKind, suiteApt } from "./suite_apt.ts";

/** What {@linkcode apt} takes besides the command. */
export interface AptOptions {
  /** Suite of Debian, for example `bookworm`; the host's own if not given. */
  suite?: string;
  /** What is asked of the suite: packages, if not given. */
  kind?: AptKind;
  /** Working directory. */
  cwd?: string;
}

/**
 * Runs a command of apt that reads package lists, and returns what it says. If
 * it fails, the lists are updated and it is tried once more.
 *
 * @param command for example `["apt-get", "download", "busybox-static"]`.
 * @throws {Error} if it fails then too.
 */
export async function apt(
  [program, ...args]: readonly [string, ...string[]],
  { suite, kind, cwd }: AptOptions = {},
): Promise<string> {
  const options = [
    "-oAPT::Sandbox::User=root",
    ...suite === undefined ? [] : await suiteApt(suite, kind),
  ];
  const run = async () =>
    new TextDecoder().decode(
      await hostCommand([program, ...options, ...args], { cwd }),
    );
  try {
    return await run();
  } catch {
    // No package lists yet, or lists that name files long replaced.
    await hostCommand(["apt-get", ...options, "update"]);
    return await run();
  }
}
