/**
 * xkmon guards the kernels of Xen guests from Dom0: the command line.
 *
 * @module
 */
import { doctor } from "./cli/doctor.ts";
import { enroll } from "./cli/enroll.ts";
import { explain } from "./cli/explain.ts";
import { guardian } from "./cli/guardian.ts";
import { info } from "./cli/info.ts";
import { guard } from "./cli/guard.ts";
import { help, type Options, readOptions } from "./cli/options.ts";
import { profile, profileCore } from "./cli/profile.ts";
import { release } from "./cli/release.ts";
import { scan, scanCore } from "./cli/scan.ts";
import { start } from "./cli/start.ts";
import { versionText } from "./version_text.ts";

/** Exit status of everything that the operator must put right */
const EXIT_UNUSABLE = 2;

function run(options: Options): number | Promise<number> {
  const { command, dom = "", core, files } = options;
  switch (command) {
    case "monitor":
      return guard(options, dom);
    case "scan":
      return core === undefined ? scan(options, dom) : scanCore(options, core);
    case "profile":
      return core === undefined
        ? profile(options, dom)
        : profileCore(options, core);
    case "info":
      return info(options, dom);
    case "doctor":
      return doctor(options, options.dom);
    case "release":
      return release(options, dom);
    case "enroll":
      return enroll(options);
    case "start":
      return start(options, files[0]!);
    case "guardian":
      return guardian(files[0]);
  }
}

try {
  const options = readOptions(Deno.args);
  if (options === "help") console.log(help.trimEnd());
  else if (options === "version") console.log(versionText());
  else Deno.exitCode = await run(options);
} catch (error) {
  console.error(`xkmon: ${explain(error)}`);
  Deno.exitCode = EXIT_UNUSABLE;
}
