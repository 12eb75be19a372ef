/** The last lines of a log, under its name, for the end of an error message. */
export function tail(name: string, log: string, lines = 15): string {
  const text = log.replace(/\r/g, "").trimEnd().split("\n").slice(-lines);
  return `\n--- end of ${name}:\n${text.join("\n")}`;
}
