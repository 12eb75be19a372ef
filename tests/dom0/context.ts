import { readKernelFile } from "../../guestos/kernel_file.ts";
import type { Profile } from "../../guestos/profile.ts";
import { simpleos } from "../../guestos/simpleos.ts";
import { type Domain, findDomain } from "../../xen/domains.ts";
import { XenHost } from "../../xen/host.ts";
import { Journal } from "../../xen/journal.ts";
import { PvGuest } from "../../xen/pv_guest.ts";

/** What the checks in Dom0 work on. */
export interface Context extends Disposable {
  readonly host: XenHost;
  readonly domain: Domain;
  readonly guest: PvGuest;
  /** Of the guest's kernel file */
  readonly profile: Profile;
  /** The next line of standard input, or undefined at its end */
  readonly line: () => Promise<string | undefined>;
}

/** A sentence that is true, and what throws if it is not. */
export type Check = readonly [
  name: string,
  check: (context: Context) => void | Promise<void>,
];

async function* lines(): AsyncGenerator<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of Deno.stdin.readable) {
    const parts = (text + decoder.decode(chunk, { stream: true })).split("\n");
    text = parts.pop()!;
    yield* parts;
  }
}

/**
 * Opens a guest with all that xkmon opens to guard it.
 *
 * @param name of the guest.
 * @param kernel path of its kernel file.
 */
export async function openContext(
  name: string,
  kernel: string,
): Promise<Context> {
  const file = await readKernelFile(kernel);
  const profile = simpleos.open(file);
  using stack = new DisposableStack();
  const host = stack.use(new XenHost());
  const domain = findDomain(host.control, host.store, name);
  const journal = stack.use(new Journal(domain.id));
  const guest = stack.use(new PvGuest(host, domain, journal));
  const input = lines();
  const line = async () => (await input.next()).value as string | undefined;
  const opened = stack.move();
  return {
    host,
    domain,
    guest,
    profile,
    line,
    [Symbol.dispose]: () => opened.dispose(),
  };
}
