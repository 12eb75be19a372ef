/** A command for a POSIX shell: words become one line, text stays as it is. */
export function shellQuote(command: string | readonly string[]): string {
  if (typeof command === "string") return command;
  const words = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
  return `exec ${words.join(" ")}`;
}
