/** One line of the benchmark's table. */
export interface Row {
  /** What was measured, with its unit. */
  readonly what: string;
  readonly xkmon: string;
  /** The C program's figure, where it has one. */
  readonly baseline?: string;
  readonly ratio?: number;
  /** What is expected, in words, and whether it came true. */
  readonly expected?: { readonly text: string; readonly met: boolean };
}

/** The rows as a table in Markdown. */
export function renderRows(rows: readonly Row[]): string {
  const lines = rows.map(({ what, xkmon, baseline, ratio, expected }) =>
    [
      what,
      xkmon,
      baseline ?? "",
      ratio?.toFixed(2) ?? "",
      expected === undefined
        ? ""
        : `${expected.text}: ${expected.met ? "met" : "missed"}`,
    ].join(" | ")
  );
  return [
    "measured | xkmon | C program | ratio | expected",
    "--- | ---: | ---: | ---: | ---",
    ...lines,
  ].map((line) => `| ${line} |`).join("\n");
}
