/**
 * Holds a domain's journal until its standard input ends, as a monitor of
 * another process does.
 *
 * Arguments: domain id and folder
 *
 * @module
 */
import { Journal } from "../journal.ts";

const [domain, folder] = Deno.args;
using _journal = new Journal(Number(domain), folder);
console.log("held");
for await (const _ of Deno.stdin.readable) {
  // Only the end counts
}
