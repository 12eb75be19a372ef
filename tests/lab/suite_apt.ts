import { CACHE } from "./cached.ts";
import { hostCommand } from "./host_command.ts";

/** What apt is to know of a suite: packages or their sources. */
export type AptKind = "deb" | "deb-src";

/**
 * Sets up apt for a suite that need not be the host's: with lists and files of
 * its own in the lab's cache, from the archives that the host uses. Returns the
 * options that make apt's programs use it; the host's apt stays as it is.
 *
 * @param suite code name, for example `bookworm`.
 * @throws {Error} if the host's apt has no archive of Debian.
 */
export async function suiteApt(
  suite: string,
  kind: AptKind = "deb",
): Promise<string[]> {
  const root = `${CACHE}/${kind === "deb" ? "apt" : "apt-src"}-${suite}`;
  for (const name of ["lists/partial", "cache/archives/partial"]) {
    await Deno.mkdir(`${root}/${name}`, { recursive: true });
  }
  const sources = await suiteSources(suite, kind);
  await Deno.writeTextFile(`${root}/sources.list`, sources.join(""));
  return [
    `-oDir::State=${root}`,
    `-oDir::State::lists=${root}/lists`,
    // What is installed on the host must not be taken for the suite's.
    "-oDir::State::status=/dev/null",
    `-oDir::Cache=${root}/cache`,
    `-oDir::Etc::sourcelist=${root}/sources.list`,
    "-oDir::Etc::sourceparts=/dev/null",
    "-oDir::Etc::preferences=/dev/null",
    "-oDir::Etc::preferencesparts=/dev/null",
    // The lists of a suite that is no longer kept up have expired.
    "-oAcquire::Check-Valid-Until=false",
  ];
}

/** Lines for `sources.list`: the suite, and its security updates. */
async function suiteSources(suite: string, kind: AptKind): Promise<string[]> {
  const known = new TextDecoder().decode(
    await hostCommand([
      "apt-get",
      "indextargets",
      ...["--format", "$(REPO_URI) $(RELEASE) $(SOURCESENTRY)"],
      ...["Identifier: Packages", "Component: main"],
    ]),
  );
  const sources = new Map<string, string>();
  for (const line of known.trim().split("\n")) {
    const [archive, name, entry] = line.split(" ");
    const part = name?.match(/^[a-z]+(-security)?$/);
    if (!archive || !part || !entry) continue;
    const wanted = suite + (part[1] ?? "");
    if (sources.has(wanted)) continue;
    const keyring = await keyringOf(entry.replace(/:\d+$/, ""));
    sources.set(wanted, `${kind} ${keyring}${archive} ${wanted} main\n`);
  }
  if (!sources.has(suite)) {
    throw new Error("the host's apt has no archive of Debian");
  }
  return [...sources.values()];
}

/** The option that names the keyring which one of the host's files names. */
async function keyringOf(path: string): Promise<string> {
  const text = await Deno.readTextFile(path);
  const keyring = text.match(/signed-by[:=]\s*(\/[^\s\],]+)/i)?.[1];
  return keyring === undefined ? "" : `[signed-by=${keyring}] `;
}
