/**
 * The part of the benchmark that runs in Dom0: compares ranges of a guest as
 * a pass of xkmon does. Argument: the guest's name. `baseline.c` describes
 * what is spoken on standard input and output.
 */
import { findDomain } from "../../xen/domains.ts";
import { XenHost } from "../../xen/host.ts";
import { PvGuest } from "../../xen/pv_guest.ts";
import { versionText } from "../../version_text.ts";

/** A range with what it held at the first look. */
interface Range {
  readonly start: bigint;
  readonly trusted: Uint8Array<ArrayBuffer>;
}

function measure(
  guest: PvGuest,
  line: string,
  known: Map<string, Range>,
): string {
  const [milliseconds, , , ...words] = line.split(" ");
  const ranges: Range[] = [];
  for (let at = 0; at < words.length; at += 2) {
    const key = `${words[at]} ${words[at + 1]}`;
    const start = BigInt(`0x${words[at]}`);
    let range = known.get(key);
    if (range === undefined) {
      range = {
        start,
        trusted: guest.trustedCopy(guest.read(start, Number(words[at + 1]))),
      };
      known.set(key, range);
    }
    ranges.push(range);
  }
  let differences = 0;
  let rounds = 0;
  const from = performance.now();
  let now = from;
  for (; now < from + Number(milliseconds); now = performance.now()) {
    for (const { start, trusted } of ranges) {
      differences += guest.compare(start, trusted).length;
    }
    rounds++;
  }
  return `${rounds} ${Math.round((now - from) * 1e6)} ${differences}`;
}

async function serve(name: string): Promise<void> {
  using host = new XenHost();
  using guest = new PvGuest(host, findDomain(host.control, host.store, name));
  const known = new Map<string, Range>();
  console.log("ready");
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of Deno.stdin.readable) {
    const lines = (text + decoder.decode(chunk, { stream: true })).split("\n");
    text = lines.pop()!;
    for (const line of lines) console.log(measure(guest, line, known));
  }
}

if (Deno.args[0] === "--version") console.log(versionText());
else await serve(Deno.args[0] ?? "");
