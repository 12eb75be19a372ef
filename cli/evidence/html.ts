/** Text that is HTML already. */
export class Html {
  constructor(readonly text: string) {}
}

/** What can stand in a template: all but HTML is escaped. */
export type Content =
  | Html
  | string
  | number
  | undefined
  | readonly Content[];

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Characters that are not shown as what they are: they could make text look
 * like other text.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * HTML from a template. Strings are escaped, and characters that cannot be
 * seen are shown by their numbers.
 *
 * @example
 * ```ts
 * const { text } = html`<b>${"<script>"}</b>`;
 * console.assert(text === "<b>&lt;script&gt;</b>");
 * ```
 */
export function html(
  parts: TemplateStringsArray,
  ...contents: readonly Content[]
): Html {
  return new Html(
    parts.map((part, at) => part + render(contents[at])).join(""),
  );
}

function render(content: Content): string {
  if (content === undefined) return "";
  if (content instanceof Html) return content.text;
  if (typeof content === "number") return String(content);
  if (typeof content !== "string") return content.map(render).join("");
  return content
    .replace(
      UNSEEN,
      (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
    )
    .replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}
