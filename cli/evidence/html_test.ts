import { assertEquals } from "@std/assert";
import { html } from "./html.ts";

Deno.test("strings are escaped, in text and in attributes", () => {
  const hostile = `<img src=x onerror="alert('1')">&amp;`;
  assertEquals(
    html`<p title="${hostile}">${hostile}</p>`.text,
    '<p title="&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;' +
      '&amp;amp;">&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;' +
      "&amp;amp;</p>",
  );
});

Deno.test("HTML within HTML stays as it is, lists are joined, nothing is nothing", () => {
  const items = ["a", "<"].map((item) => html`<li>${item}</li>`);
  assertEquals(
    html`<ul>${items}</ul>${undefined}${7}`.text,
    "<ul><li>a</li><li>&lt;</li></ul>7",
  );
});

Deno.test("what cannot be seen, or turns text around, is shown by its number", () => {
  assertEquals(
    html`${"a\u202eb\0c\u2028d\ud800\x1b[31m"}`.text,
    "a\\u{202e}b\\u{0}c\\u{2028}d\\u{d800}\\u{1b}[31m",
  );
});
