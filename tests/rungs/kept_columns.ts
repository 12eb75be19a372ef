import type { ColumnText } from "./column_text.ts";

function cellsOf(line: string): string[] {
  return line.split("|").slice(1, -1).map((cell) => cell.trim());
}

/** Reads the columns of a printed matrix, so that others can be made anew. */
export function keptColumns(matrix: string): ColumnText[] {
  return matrix.split(/^### /m).slice(1).flatMap((section) => {
    const [title = "", ...lines] = section.split("\n");
    const [head = [], _line, ...rows] = lines.filter((line) =>
      line.startsWith("|")
    ).map(cellsOf);
    return head.slice(1).map((head, index) => ({
      title,
      head,
      cells: new Map(
        rows.map(([attack, ...cells]) => [
          attack!.replaceAll("`", ""),
          cells[index]!,
        ]),
      ),
    }));
  });
}
