/**
 * Tests of `xen/` that run in Dom0, on a running SimpleOS. `xen_test.ts`
 * starts it and gives the orders: `self_test COMMAND GUEST KERNEL`.
 *
 * Each check prints a line of JSON with its name, and the error if it failed.
 * Where something is to be done from outside meanwhile, the program says
 * `ready` and waits for a line on standard input.
 */
import { versionText } from "../../version_text.ts";
import { type Check, type Context, openContext } from "./context.ts";
import { domainChecks } from "./domain_checks.ts";
import { memoryChecks } from "./memory_checks.ts";
import { protectAll } from "./protect_all.ts";
import { protectAndUndo } from "./protect_and_undo.ts";

async function runChecks(
  context: Context,
  checks: readonly Check[],
): Promise<void> {
  for (const [name, check] of checks) {
    try {
      await check(context);
      console.log(JSON.stringify({ name }));
    } catch (error) {
      const text = error instanceof Error ? error.stack : String(error);
      console.log(JSON.stringify({ name, error: text }));
    }
  }
}

/** Keeps pages of the guest mapped until it is told to give them back. */
async function hold({ guest, profile, line }: Context): Promise<void> {
  for (const { start, trusted } of profile.regions) {
    guest.compare(start, new Uint8Array(trusted!));
  }
  console.log("ready");
  await line();
  guest[Symbol.dispose]();
  console.log("released");
  await line();
}

async function run(command: string, name: string, kernel: string) {
  using context = await openContext(name, kernel);
  const { guest } = context;
  switch (command) {
    case "check":
      return await runChecks(context, [...domainChecks, ...memoryChecks]);
    case "protect":
      return await runChecks(context, [protectAndUndo]);
    case "hold":
      return await hold(context);
    case "abandon":
      console.log(protectAll(context));
      // As if it was killed: nothing is undone
      return Deno.exit(0);
    case "abandon-held":
      guest.hold();
      return Deno.exit(0);
    case "recover":
      return console.log(guest.recover(false) ?? "nothing");
    default:
      throw new TypeError(`no such command: ${command}`);
  }
}

const [command = "", name = "", kernel = ""] = Deno.args;
if (command === "--version") console.log(versionText());
else await run(command, name, kernel);
