import { assert, assertEquals, assertThrows } from "@std/assert";
import { hvmCpu, trapInfo, vcpuContext } from "../xen/layouts.ts";
import { columnText } from "./rungs/column_text.ts";
import { COLUMNS } from "./rungs/columns.ts";
import { isBad } from "./rungs/is_bad.ts";
import { judgeAttack } from "./rungs/judge_attack.ts";
import { keptColumns } from "./rungs/kept_columns.ts";
import { ordersOfChange } from "./rungs/orders_of_change.ts";
import { outcomeText } from "./rungs/outcome_text.ts";
import { rungMatrixText } from "./rungs/rung_matrix_text.ts";
import type { PrintedEvent, PrintedFinding } from "./support/printed_event.ts";
import { toldTime } from "./support/told_time.ts";

/** What xkmon prints of a finding, as far as it matters here. */
function told(time: number, id: string, seen: string): PrintedEvent {
  return {
    type: "finding",
    time: new Date(time).toISOString(),
    domain: { id: 1, name: "guest" },
    finding: { rule: { id }, seen } as PrintedFinding,
  };
}

const unreadable: PrintedEvent = {
  type: "unreadable",
  time: new Date(0).toISOString(),
  domain: { id: 1, name: "guest" },
  unreadable: { rule: { id: "XK-003" }, what: "text", reason: "not-present" },
};

Deno.test("an attack that was stopped and told is no failure", () => {
  const outcome = judgeAttack("attack", "refused", 1000, [
    told(1140, "XK-002", "fault"),
    told(1900, "XK-001", "compare"),
  ]);
  assertEquals(
    outcomeText(outcome),
    "refused, XK-001, XK-002 at once (0.14 s)",
  );
  assertEquals(isBad(outcome), false);
});

Deno.test("a rule that tells twice is named once", () => {
  const outcome = judgeAttack("attack", "landed", 1000, [
    told(1500, "XK-001", "compare"),
    told(1600, "XK-001", "compare"),
  ]);
  assertEquals(outcomeText(outcome), "landed, XK-001 in 0.50 s");
  assertEquals(isBad(outcome), false);
});

Deno.test("an attack that left no trace need not be told", () => {
  const outcome = judgeAttack("attack", "dropped", 1000, []);
  assertEquals(outcomeText(outcome), "dropped, not told");
  assertEquals(isBad(outcome), false);
});

Deno.test("an attack that landed and was not told is a failure", () => {
  const outcome = judgeAttack("attack", "landed", 1000, []);
  assertEquals(outcomeText(outcome), "**landed, not told**");
  assertEquals(isBad(outcome), true);
});

Deno.test("what could not be told is a failure, whatever was told", () => {
  const outcome = judgeAttack("attack", "landed", 1000, [
    told(1500, "XK-001", "compare"),
    unreadable,
  ]);
  assertEquals(outcome.wrong, ["XK-003 could not tell: not-present"]);
  assertEquals(isBad(outcome), true);
});

Deno.test("a matrix that was printed is read back as it was", () => {
  const attacks = ["text-byte", "text-byte, remapped"];
  const columns = COLUMNS.map((column, index) =>
    columnText(
      column,
      attacks.slice(0, 1 + index % 2).map((attack) =>
        judgeAttack(attack, index === 0 ? "landed" : "refused", 0, [])
      ),
    )
  );
  const read = keptColumns(rungMatrixText(columns));
  assertEquals(
    read.map(({ title, head }) => [title, head]),
    columns.map(({ title, head }) => [title, head]),
  );
  for (const [index, { cells }] of columns.entries()) {
    // What a column does not have is an empty cell
    const full = [...read[index]!.cells].filter(([_, text]) => text !== "");
    assertEquals(full, [...cells]);
  }
});

Deno.test("the matrix in docs has only columns that are made", async () => {
  const file = new URL("../docs/rung-matrix.md", import.meta.url);
  const places = COLUMNS.map((column) => columnText(column));
  for (
    const { title, head, cells } of keptColumns(await Deno.readTextFile(file))
  ) {
    const isKnown = places.some((place) =>
      place.title === title && place.head === head
    );
    assertEquals(isKnown, true, `${title}, ${head}`);
    assert(cells.size > 0);
  }
});

Deno.test("memory is written in pieces that stay within a page", () => {
  const change = {
    kind: "memory",
    address: "ffffffff81000fc8",
    before: "00".repeat(72),
    after: "11".repeat(56) + "22".repeat(16),
  } as const;
  assertEquals(ordersOfChange("pvh", change, "alias", false), [
    `write alias ffffffff81000fc8 ${"11".repeat(56)}`,
    `write alias ffffffff81001000 ${"22".repeat(16)}`,
  ]);
  assertEquals(ordersOfChange("pvh", change, "alias", true), [
    `write alias ffffffff81000fc8 ${"00".repeat(56)}`,
    `write alias ffffffff81001000 ${"00".repeat(16)}`,
  ]);
});

Deno.test("of a page-table entry only the bits are changed", () => {
  const change = {
    kind: "entry",
    address: "ffffffff82000000",
    before: "8000000002000061",
    after: "2000063",
  } as const;
  const nx = "8000000000000000";
  assertEquals(ordersOfChange("pvh", change, "alias", false), [
    `map ffffffff82000000 2 ${nx}`,
  ]);
  assertEquals(ordersOfChange("pvh", change, "alias", true), [
    `map ffffffff82000000 ${nx} 2`,
  ]);
});

Deno.test("a bit of a register is cleared, and set again", () => {
  const change = {
    kind: "cpu",
    at: hvmCpu.cr0,
    before: "80050033",
    after: "80040033",
  } as const;
  assertEquals(ordersOfChange("pvh", change, "alias", false), ["cr0 0 10000"]);
  assertEquals(ordersOfChange("pvh", change, "alias", true), ["cr0 10000 0"]);
});

Deno.test("system calls go by the module and still reach the kernel", () => {
  for (
    const [type, at] of [
      ["pv", vcpuContext.syscall_callback_eip],
      ["pvh", hvmCpu.msr_lstar],
    ] as const
  ) {
    const change = { kind: "cpu", at, before: "abc", after: "def" } as const;
    assertEquals(ordersOfChange(type, change, "alias", false), ["enter abc"]);
    assertEquals(ordersOfChange(type, change, "alias", true), ["leave abc"]);
  }
});

Deno.test("a trap of a PV guest is told by its vector", () => {
  const at = vcpuContext.trap_ctxt + 14 * trapInfo.size + trapInfo.address;
  const change = { kind: "cpu", at, before: "abc", after: "def" } as const;
  assertEquals(ordersOfChange("pv", change, "alias", false), ["trap e def"]);
  assertThrows(
    () => ordersOfChange("pvh", change, "alias", false),
    RangeError,
    `no order changes offset ${at}`,
  );
});

Deno.test("Dom0's time is read to the microsecond", () => {
  const text = "    time.tv_sec:  1795944726\n    time.tv_usec: 643490\n";
  assertEquals(toldTime(text), 1_795_944_726_643.49);
  assertThrows(() => toldTime("adjtimex: not found"), Error, "told no time");
});
