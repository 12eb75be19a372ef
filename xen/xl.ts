/** What an xl configuration says of the guest to be. */
export interface GuestConfig {
  readonly name: string;
  readonly type: string;
  /** Kernel file for a direct boot */
  readonly kernel?: string;
}

function xl(...args: string[]): Promise<string> {
  return xlWithin(undefined, ...args);
}

async function xlWithin(
  signal: AbortSignal | undefined,
  ...args: string[]
): Promise<string> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command("xl", {
      args,
      stdin: "null",
      ...(signal === undefined ? {} : { signal }),
    }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Deno.errors.NotFound(
      "xl was not found: it comes with Xen's tools (xen-utils)",
      { cause: error },
    );
  }
  if (signal?.aborted) {
    const { name } = signal.reason;
    throw new Error(
      `xl ${args[0]}: it ${
        name === "TimeoutError" ? "took too long" : "was ended"
      }`,
    );
  }
  if (output.success) return new TextDecoder().decode(output.stdout);
  const lines = new TextDecoder().decode(output.stderr).trim().split("\n");
  throw new Error(`xl ${args[0]}: ${lines[0] || "failed"}`);
}

/** A path that xl does not take for an option. */
function noOption(path: string): string {
  return path.startsWith("-") ? `./${path}` : path;
}

/**
 * What xl itself understands of a configuration file.
 *
 * @param path The file
 * @throws {Error} If xl finds it wrong; the message is xl's first line
 */
export async function readGuestConfig(path: string): Promise<GuestConfig> {
  const json = JSON.parse(
    await xl("create", "--dryrun", "--quiet", noOption(path)),
  );
  const { c_info: create = {}, b_info: build = {} } = json;
  const kernel = build.kernel ?? build["type.pv"]?.kernel ??
    build["type.pvh"]?.kernel;
  return {
    name: String(create.name ?? ""),
    type: String(create.type ?? ""),
    ...(typeof kernel === "string" ? { kernel } : {}),
  };
}

/**
 * The kernel file from which xl created a guest, as xl itself keeps it: once the
 * guest is made, before it runs.
 *
 * @param id Domain id
 * @returns `undefined` if xl knows nothing of it (yet), or there is no xl; no
 *   `kernel` if the guest loads that itself
 */
export async function kernelOfGuest(
  id: number,
): Promise<{ readonly kernel?: string } | undefined> {
  let text: string;
  try {
    text = await xl("list", "--long", String(id));
  } catch {
    return undefined;
  }
  const build = JSON.parse(text)[0]?.config?.b_info;
  if (build === undefined) return undefined;
  return typeof build.kernel === "string" ? { kernel: build.kernel } : {};
}

/** Creates a guest that does not run yet. */
export async function createPaused(path: string): Promise<void> {
  // xl has no long option for it
  await xl("create", "-p", "--quiet", noOption(path));
}

/** Destroys a guest and all that the toolstack keeps of it. */
export async function destroyGuest(nameOrId: string): Promise<void> {
  await xl("destroy", nameOrId);
}

/**
 * Writes the memory of a guest and its virtual CPUs' state to an ELF core.
 *
 * @param path Where to; only the owner may read it
 * @param signal Ends it
 * @throws {Deno.errors.NotFound} If there is no xl
 * @throws {Error} If xl fails; the message is xl's first line
 */
export async function dumpCore(
  id: number,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  // xl truncates the file, and leaves its mode as it is
  using _ = await Deno.open(path, {
    write: true,
    createNew: true,
    mode: 0o600,
  });
  await xlWithin(signal, "dump-core", String(id), noOption(path));
}
