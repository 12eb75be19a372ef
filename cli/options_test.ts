import { assert, assertEquals, assertThrows } from "@std/assert";
import { rules } from "../detect/rules.ts";
import { defaultRungs } from "../xen/protection.ts";
import { help, type Options, readOptions } from "./options.ts";
import { readResponses } from "./read_responses.ts";
import { UsageError } from "./usage_error.ts";

function read(...args: string[]): Options {
  const options = readOptions(args);
  if (typeof options === "string") throw new Error(`${options} was read`);
  return options;
}

/** Asserts that arguments are refused in one line with a part of it. */
function assertRefused(part: string, ...args: string[]) {
  const { message } = assertThrows(() => readOptions(args), UsageError);
  assert(message.includes(part), `${args.join(" ")}: ${message}`);
  assert(!message.includes("\n"), message);
}

Deno.test("a guest's name alone guards it, as the help says", () => {
  assertEquals(read("--dom", "web"), {
    command: "monitor",
    files: [],
    dom: "web",
    responses: readResponses("pause"),
    evidence: "/var/lib/xkmon/incidents",
    rungs: defaultRungs,
    interval: 1000,
    firstReading: false,
    wait: false,
    failClosed: false,
    json: false,
    digests: "/var/lib/xkmon/kernels.json",
  });
});

Deno.test("every option is taken over", () => {
  assertEquals(
    read(
      "monitor",
      "--dom=7",
      "--rungs",
      "poll,gate",
      "--on-attack",
      "destroy",
      "--evidence",
      "/srv/evidence",
      "--interval",
      "0.05",
      "--kernel",
      "/boot/guest",
      "--profile",
      "simpleos",
      "--trust-first-reading",
      "--wait",
      "--fail-closed",
      "--json",
      "--log",
      "log",
      "--digests",
      "kernels",
    ),
    {
      command: "monitor",
      files: [],
      dom: "7",
      kernel: "/boot/guest",
      profile: "simpleos",
      log: "log",
      responses: readResponses("destroy"),
      evidence: "/srv/evidence",
      rungs: ["poll", "gate"],
      interval: 50,
      firstReading: true,
      wait: true,
      failClosed: true,
      json: true,
      digests: "kernels",
    },
  );
});

Deno.test("each command takes what it needs", () => {
  for (const command of ["scan", "info", "release"] as const) {
    assertEquals(read(command, "--dom", "web").command, command);
  }
  assertEquals(read("enroll", "one", "two").files, ["one", "two"]);
  assertEquals(read("start", "guest.cfg").files, ["guest.cfg"]);
});

Deno.test("names are text, also where they look like numbers", () => {
  assertEquals(read("enroll", "007", "1e3").files, ["007", "1e3"]);
  assertEquals(read("--dom", "0x10").dom, "0x10");
  assertEquals(read("enroll", "--", "-x").files, ["-x"]);
});

Deno.test("each rule may have a response of its own", () => {
  const { responses } = read("--dom", "web", "--on-attack", "XK-002=restore");
  assertEquals(responses.of(rules.invariantData).response, "restore");
  assertEquals(responses.of(rules.kernelText).response, "pause");
});

Deno.test("help and version win over everything else", () => {
  assertEquals(readOptions(["--help"]), "help");
  assertEquals(readOptions(["nonsense", "--help"]), "help");
  assertEquals(readOptions(["--version", "--dom", "x", "y"]), "version");
});

Deno.test("an option that means nothing to the command is refused", () => {
  assertRefused("takes no --log", "scan", "--dom", "web", "--log", "x");
  assertRefused(
    "takes no --fail-closed",
    "scan",
    "--dom",
    "w",
    "--fail-closed",
  );
  assertRefused("takes no --wait", "info", "--dom", "web", "--wait");
  assertRefused("takes no --kernel", "start", "x.cfg", "--kernel", "vmlinux");
  assertRefused("takes no --on-attack", "enroll", "x", "--on-attack", "pause");
  assertRefused("empty", "--interval", "");
});

Deno.test("nothing to do is refused", () => {
  assertRefused("Name the guest to guard");
  assertRefused("Name the guest to guard", "--json");
});

Deno.test("what is no command is refused", () => {
  assertRefused("guard is no command", "guard", "--dom", "web");
  assertRefused("web is no command", "web");
  assertRefused("__proto__ is no command", "__proto__");
});

Deno.test("what is no option is refused", () => {
  for (const option of ["--domain", "-d", "--no-json", "--jsn", "-"]) {
    assertRefused(`${option} is no option`, "--dom", "web", option);
  }
});

Deno.test("an option without its value is refused", () => {
  const options = [
    "--dom",
    "--kernel",
    "--profile",
    "--on-attack",
    "--interval",
    "--log",
    "--digests",
  ];
  for (const option of options) {
    const others = option === "--dom" ? [] : ["--dom", "web"];
    assertRefused(`${option} needs a value`, ...others, option);
    assertRefused(`${option} needs a value`, ...others, `${option}=`);
  }
});

Deno.test("an option that is given twice is refused", () => {
  assertRefused("Give --dom only once", "--dom", "a", "--dom", "b");
  assertRefused("Give --log only once", "--dom", "a", "--log", "b", "--log=c");
});

Deno.test("writes are logged only where the operator says so", () => {
  assertEquals(defaultRungs, ["trap", "gate", "lock", "protect", "poll"]);
  assert(read("--dom", "web", "--rungs", "dirty").rungs.includes("dirty"));
});

Deno.test("a response or a rung that is not known is refused", () => {
  assertRefused(
    "--rungs takes trap, gate, lock, protect, dirty, poll, not wall",
    "--dom",
    "web",
    "--rungs",
    "poll,wall",
  );
  assertRefused(
    "--on-attack takes report, block, restore, pause, dump, reboot, destroy",
    "--dom",
    "web",
    "--on-attack",
    "kill",
  );
});

Deno.test("an interval that is no sensible number is refused", () => {
  for (
    const interval of [
      "0",
      "0.049",
      "3600.1",
      "-1",
      "NaN",
      "Infinity",
      "1s",
      " ",
    ]
  ) {
    assertRefused(
      "--interval takes seconds from 0.05 to 3600",
      "--dom",
      "web",
      `--interval=${interval}`,
    );
  }
});

Deno.test("a command that lacks what it needs is refused", () => {
  for (const command of ["monitor", "scan", "info", "release"]) {
    assertRefused(`xkmon ${command} needs --dom NAME`, command);
  }
  for (const command of ["enroll", "start"]) {
    assertRefused(`xkmon ${command} needs a file`, command);
  }
});

Deno.test("a command that is given too much is refused", () => {
  for (const command of ["monitor", "scan", "info", "release"]) {
    assertRefused(
      `xkmon ${command} does not take file`,
      command,
      "--dom",
      "web",
      "file",
    );
  }
  assertRefused("takes one configuration", "start", "one", "two");
  assertRefused("enroll takes no --dom", "enroll", "file", "--dom", "web");
  assertRefused("start takes no --dom", "start", "file", "--dom", "web");
});

Deno.test("a scan has no first reading to compare with", () => {
  assertRefused(
    "nothing to compare",
    "scan",
    "--dom",
    "web",
    "--trust-first-reading",
  );
});

Deno.test("the help names every command and every option that is read", () => {
  const words = [
    "start CONFIG",
    "scan",
    "info",
    "enroll",
    "release",
    "--on-attack RESPONSE",
    "--evidence",
    "--interval",
    "--kernel",
    "--profile",
    "simpleos",
    "--trust-first-reading",
    "--wait",
    "--json",
    "--log",
    "--digests",
    "--version",
    "--help",
  ];
  for (const word of words) assert(help.includes(word), word);
  for (const line of help.split("\n")) assert(line.length <= 80, line);
});

Deno.test("the doctor looks at all guests, or at one", () => {
  for (const args of [["doctor"], ["doctor", "--dom", "web", "--json"]]) {
    const options = readOptions(args);
    assert(typeof options === "object");
    assertEquals([options.command, options.dom], ["doctor", args[2]]);
  }
});
