/** A program for `build.sh` that shows what reaches it, one command a purpose. */
import { versionText } from "../../version_text.ts";

const [command, ...rest] = Deno.args;
switch (command) {
  case "--version":
    console.log(versionText());
    break;
  case "args":
    console.log(JSON.stringify(rest));
    break;
  case "exit":
    Deno.exit(Number(rest[0]));
    break;
  case "copy":
    await Deno.stdin.readable.pipeTo(Deno.stdout.writable);
    break;
  case "pid": {
    const libc = Deno.dlopen("libc.so.6", {
      getpid: { parameters: [], result: "i32" },
    });
    console.log(libc.symbols.getpid());
    libc.close();
    break;
  }
  case "wait": {
    const timer = setTimeout(() => Deno.exit(1), 60_000);
    Deno.addSignalListener("SIGTERM", () => {
      clearTimeout(timer);
      console.log("SIGTERM");
      Deno.exit(0);
    });
    console.log("ready");
    break;
  }
  case "permissions": {
    const names = [
      "ffi",
      "read",
      "write",
      "run",
      "env",
      "sys",
      "net",
      "import",
    ] as const;
    const states: Record<string, string> = {};
    for (const name of names) {
      states[name] = Deno.permissions.querySync({ name }).state;
    }
    console.log(JSON.stringify(states));
    break;
  }
  default:
    console.error(`no such command: ${command}`);
    Deno.exit(64);
}
