import { assert, assertEquals, assertMatch } from "@std/assert";
import { emulateAarch64 } from "./build/emulate_aarch64.ts";
import { type Output, outputOf } from "./build/output_of.ts";
import { readParts } from "./build/read_parts.ts";
import config from "../deno.json" with { type: "json" };

const ROOT = `${import.meta.dirname}/../`;
const BUILD = `${ROOT}build.sh`;
const STAND_IN = `${ROOT}tests/build/stand_in.ts`;
const HOST = `${Deno.build.arch}-unknown-linux-gnu`;
const OUT = await Deno.makeTempDir({ prefix: "xkmon-build-" });
const FILE = `${OUT}/xkmon-${Deno.build.arch}-linux`;
const AARCH64_FILE = `${OUT}/xkmon-aarch64-linux`;

let built: Promise<Output> | undefined;

/** Runs a test on the executables of the stand-in, built once for all tests. */
function testBuilt(name: string, body: () => Promise<void>) {
  Deno.test(name, async () => {
    built ??= outputOf(
      [BUILD, "--method", "bundle", "--main", STAND_IN, "--out", OUT],
      { limit: 600_000 },
    );
    const { code, stderr } = await built;
    assertEquals(code, 0, stderr);
    await body();
  });
}

Deno.test.afterAll(() => Deno.remove(OUT, { recursive: true }));

/** Calls `body` with the path of a temporary directory. */
async function inTempDir(body: (path: string) => Promise<void>) {
  const path = await Deno.makeTempDir({ prefix: "xkmon-build-" });
  try {
    await body(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

/** Starts a program that prints `ready` and waits for SIGTERM. */
async function startWaiting() {
  const child = new Deno.Command(FILE, {
    args: ["wait"],
    stdin: "null",
    stdout: "piped",
    signal: AbortSignal.timeout(60_000),
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  assertEquals(new TextDecoder().decode(value), "ready\n");
  return { child, reader };
}

/** Calls `body` with the process id of a program that runs. */
async function whileWaiting(body: (pid: number) => Promise<void>) {
  const { child, reader } = await startWaiting();
  try {
    await body(child.pid);
  } finally {
    child.kill("SIGTERM");
    await child.status;
    await reader.cancel();
  }
}

testBuilt("the executable passes every argument on as it came", async () => {
  const args = [
    "a b",
    "",
    "é漢",
    "--allow-all",
    "-q",
    "--",
    "two\nlines",
    "--version",
  ];
  const { stdout } = await outputOf([FILE, "args", ...args]);
  assertEquals(JSON.parse(stdout), args);
});

testBuilt(
  "the exit status of the program is that of the executable",
  async () => {
    for (const status of [0, 1, 3, 255]) {
      assertEquals((await outputOf([FILE, "exit", `${status}`])).code, status);
    }
  },
);

testBuilt(
  "a pipe to standard input arrives unchanged on standard output",
  async () => {
    const sent = new Uint8Array(1 << 20).map((_, i) => i * 31 + (i >> 8));
    const child = new Deno.Command(FILE, {
      args: ["copy"],
      stdin: "piped",
      stdout: "piped",
      signal: AbortSignal.timeout(60_000),
    }).spawn();
    const [{ stdout, code }] = await Promise.all([
      child.output(),
      new Blob([sent]).stream().pipeTo(child.stdin),
    ]);
    assertEquals(code, 0);
    assert(
      stdout.every((byte, i) => byte === sent[i]) &&
        stdout.length === sent.length,
    );
  },
);

testBuilt("the executable starts with its standard input closed", async () => {
  const { code, stdout } = await outputOf([
    "sh",
    "-c",
    `exec "$0" args a <&-`,
    FILE,
  ]);
  assertEquals([code, stdout], [0, '["a"]\n']);
});

testBuilt("the program runs in the process that was started", async () => {
  const child = new Deno.Command(FILE, {
    args: ["pid"],
    stdin: "null",
    stdout: "piped",
    signal: AbortSignal.timeout(60_000),
  }).spawn();
  const { stdout } = await child.output();
  assertEquals(Number(new TextDecoder().decode(stdout)), child.pid);
});

testBuilt("SIGTERM reaches the program", async () => {
  const { child, reader } = await startWaiting();
  child.kill("SIGTERM");
  assertEquals((await child.status).code, 0);
  assertEquals(
    new TextDecoder().decode((await reader.read()).value),
    "SIGTERM\n",
  );
  await reader.cancel();
});

testBuilt(
  "the runtime runs from the executable, which cannot be changed meanwhile",
  async () => {
    await whileWaiting(async (pid) => {
      assertEquals(await Deno.readLink(`/proc/${pid}/exe`), FILE);
      const maps = await Deno.readTextFile(`/proc/${pid}/maps`);
      const code = maps.split("\n").filter((line) =>
        line.includes(" r-xp ") && line.endsWith(` ${FILE}`)
      ).map((line) =>
        line.split(" ")[0]!.split("-").map((at) => parseInt(at, 16))
      )
        .reduce((size, [start = 0, end = 0]) => size + end - start, 0);
      assert(code > 32 << 20, maps);
      const { code: status, stderr } = await outputOf(
        ["dd", "if=/dev/zero", `of=${FILE}`, "bs=1", "count=1", "conv=notrunc"],
        { env: { LC_ALL: "C" } },
      );
      assert(status !== 0);
      assertMatch(stderr, /Text file busy/);
    });
  },
);

testBuilt(
  "nothing but the standard streams and the script stays open",
  async () => {
    await whileWaiting(async (pid) => {
      const directory = `/proc/${pid}/fd`;
      const links = await Array.fromAsync(
        Deno.readDir(directory),
        ({ name }) => Deno.readLink(`${directory}/${name}`),
      );
      assert(!links.includes(FILE), links.join("\n"));
      assertEquals(links.filter((to) => to.startsWith("/memfd:")).length, 1);
    });
  },
);

testBuilt("the script runs from a sealed file in memory", async () => {
  await whileWaiting(async (pid) => {
    const directory = `/proc/${pid}`;
    const scripts: string[] = [];
    for await (const { name } of Deno.readDir(`${directory}/fd`)) {
      const target = await Deno.readLink(`${directory}/fd/${name}`);
      if (target.startsWith("/memfd:xkmon.js ")) {
        scripts.push(`${directory}/fd/${name}`);
      }
    }
    assertEquals(scripts.length, 1);
    const script = scripts[0]!;
    const changes = [
      ["truncate", "--size=0", script],
      ["truncate", "--size=+1", script],
      ["dd", "if=/dev/zero", `of=${script}`, "bs=1", "count=1", "conv=notrunc"],
    ];
    for (const change of changes) {
      const { code, stderr } = await outputOf(change, { env: { LC_ALL: "C" } });
      assert(code !== 0, change.join(" "));
      assertMatch(stderr, /Operation not permitted/);
    }
  });
});

testBuilt(
  "a run writes nothing into home, temporary and working directory",
  async () => {
    await inTempDir(async (path) => {
      const env = {
        HOME: path,
        TMPDIR: path,
        XDG_CACHE_HOME: path,
        DENO_DIR: path,
      };
      assertEquals(
        (await outputOf([FILE, "args"], { cwd: path, env })).code,
        0,
      );
      assertEquals([...Deno.readDirSync(path)], []);
    });
  },
);

testBuilt(
  "a terminal shows what the program prints and nothing else",
  async () => {
    const { code, stdout } = await outputOf(
      [
        "script",
        "--quiet",
        "--return",
        "--command",
        `'${FILE}' args a`,
        "/dev/null",
      ],
    );
    assertEquals([code, stdout], [0, '["a"]\r\n']);
  },
);

testBuilt(
  "settings of another Deno project do not reach the program",
  async () => {
    await inTempDir(async (path) => {
      await Deno.writeTextFile(`${path}/deno.json`, "{ broken");
      await Deno.writeTextFile(`${path}/package.json`, "{ broken");
      const env = {
        DENO_V8_FLAGS: "--no-such-flag",
        DENO_CERT: "/no/such/file",
      };
      const { code, stdout, stderr } = await outputOf([FILE, "args"], {
        cwd: path,
        env,
      });
      assertEquals([code, stdout, stderr], [0, "[]\n", ""]);
    });
  },
);

testBuilt(
  "the program has the permissions it needs and no others",
  async () => {
    const { stdout } = await outputOf([FILE, "permissions"]);
    const granted = Object.entries(JSON.parse(stdout))
      .filter(([_, state]) => state === "granted").map(([name]) => name);
    assertEquals(granted, ["ffi", "read", "write"]);
  },
);

testBuilt("both methods give the same permissions", async () => {
  const file = await Deno.readFile(FILE);
  const { options } = readParts(file);
  const bundled = new TextDecoder()
    .decode(file.subarray(options.offset, options.offset + options.size))
    .split("\0").filter(isPermission);
  // The whole runtime in place of its bare one: the compiler takes it, the result
  // does not run the program, and build.sh has to notice.
  const runtime = `${ROOT}node_modules/@deno/linux-${
    Deno.build.arch === "x86_64" ? "x64" : "arm64"
  }-glibc/deno`;
  await inTempDir(async (path) => {
    const { code, stderr } = await outputOf(
      [
        BUILD,
        "--method",
        "compile",
        "--target",
        HOST,
        "--main",
        STAND_IN,
        "--out",
        path,
      ],
      { env: { DENORT_BIN: runtime }, limit: 600_000 },
    );
    assertEquals(code, 1);
    assertMatch(stderr, /what 'compile' made for \S+ does not start/);
    assertEquals([...Deno.readDirSync(path)], []);
    const command = stderr.split("\n").find((line) =>
      line.includes(" compile --quiet ")
    );
    assert(command !== undefined);
    assertEquals(command.split(" ").filter(isPermission), bundled);
    assert(bundled.includes("--no-prompt"));
  });
});

function isPermission(option: string): boolean {
  return /^--(allow|deny)-|^--no-prompt$/.test(option);
}

testBuilt("--version names release, target, method and runtime", async () => {
  const { stdout } = await outputOf([FILE, "--version"]);
  assertVersion(stdout, HOST);
});

function assertVersion(line: string, target: string) {
  const match = /^xkmon (\S+) \((\S+), bundle, commit \S+, deno (\S+)\)\n$/
    .exec(line);
  assertEquals(
    match?.slice(1),
    [config.version, target, Deno.version.deno],
    line,
  );
}

testBuilt("the aarch64 executable starts under emulation", async () => {
  const { stdout, stderr } = await emulateAarch64(AARCH64_FILE, ["--version"]);
  assertEquals(stderr, "");
  assertVersion(stdout, "aarch64-unknown-linux-gnu");
});

testBuilt("the digests beside the executables are theirs", async () => {
  const names = ["xkmon-aarch64-linux", "xkmon-x86_64-linux"];
  const files = names.map((name) => `${name}.sha256`);
  const { code, stdout } = await outputOf(["sha256sum", "-c", ...files], {
    cwd: OUT,
  });
  assertEquals([code, stdout], [
    0,
    names.map((name) => `${name}: OK\n`).join(""),
  ]);
});

/** Checks that a damaged copy says so in one line and runs nothing. */
async function assertRefused(file: Uint8Array, what: string) {
  await inTempDir(async (path) => {
    const copy = `${path}/xkmon`;
    await Deno.writeFile(copy, file, { mode: 0o755 });
    const { code, stdout, stderr } = await outputOf([copy, "exit", "0"]);
    assertEquals([code, stdout], [2, ""], what);
    assertMatch(stderr, /^xkmon: this file is damaged [^\n]*\n$/, what);
  });
}

testBuilt("a copy that was cut short or goes on is refused", async () => {
  const file = await Deno.readFile(FILE);
  const { launcher, runtime, script, options, trailer } = readParts(file);
  for (const { offset } of [runtime, script, options, trailer]) {
    await assertRefused(file.subarray(0, offset), `${offset} bytes`);
  }
  await assertRefused(
    file.subarray(0, launcher.size + 16),
    "nearly no runtime",
  );
  await assertRefused(file.subarray(0, file.length >> 1), "half");
  await assertRefused(file.subarray(0, -1), "all but one byte");
  const longer = new Uint8Array(file.length + 1);
  longer.set(file);
  await assertRefused(longer, "one byte more");
});

testBuilt("a copy with one wrong bit is refused, wherever it is", async () => {
  const file = await Deno.readFile(FILE);
  const { launcher, runtime, script, options, trailer } = readParts(file);
  const places = [
    // The launcher's section headers, which its own start does not need.
    launcher.offset + launcher.size - 1,
    ...[runtime, script, options, trailer].flatMap(({ offset, size }) => [
      offset,
      offset + (size >> 1),
      offset + size - 1,
    ]),
  ];
  for (const place of places) {
    file[place]! ^= 0x10;
    await assertRefused(file, `byte ${place}`);
    file[place]! ^= 0x10;
  }
});

testBuilt("the checksum is XXH64", async () => {
  // Published results for seed 0; the lengths take each path of the algorithm.
  const vectors = {
    "": "ef46db3751d8e999",
    "abc": "44bc2cf5ad770999",
    "Nobody inspects the spammish repetition": "fbcea83c8a378bf1",
  };
  await inTempDir(async (path) => {
    await Deno.writeTextFile(
      `${path}/vectors.c`,
      `#include <stdio.h>
#include "xxh64.h"
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("%016llx\\n", (unsigned long long)xxh64(argv[i], strlen(argv[i])));
}
`,
    );
    const flags = ["-Wall", "-Wextra", "-Werror", "-I", `${ROOT}launcher`];
    const gcc = await outputOf(
      ["gcc", ...flags, "-o", `${path}/vectors`, `${path}/vectors.c`],
    );
    assertEquals(gcc.code, 0, gcc.stderr);
    const { stdout } = await outputOf([
      `${path}/vectors`,
      ...Object.keys(vectors),
    ]);
    assertEquals(stdout.trim().split("\n"), Object.values(vectors));
  });
});

Deno.test("build.sh refuses an unknown target, method or option", async () => {
  const cases = [["--target", "riscv64"], ["--method", "link"], ["--outdir"], [
    "--out",
  ]];
  for (const args of cases) {
    const { code, stdout } = await outputOf([BUILD, ...args]);
    assert(code === 1 || code === 2, args.join(" "));
    assertEquals(stdout, "");
  }
});
