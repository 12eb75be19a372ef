/**
 * Holds a domain's journal until its standard input ends, as a monitor of
 * another process does.
 *
 * Arguments: domain id and folder, and a UUID if its guest is to be held
 *
 * @module
 */
import { Journal } from "../journal.ts";

const [domain, folder, uuid] = Deno.args;
using journal = new Journal(Number(domain), folder);
if (uuid !== undefined) journal.hold(uuid);
console.log("held");
for await (const _ of Deno.stdin.readable) {
  // Only the end counts
}
