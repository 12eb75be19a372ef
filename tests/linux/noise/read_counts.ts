/**
 * Reads what a guest told last of how often each kind of its noise happened.
 *
 * @param console all that the guest has written.
 * @returns counts by `KIND.WHAT`.
 */
export function readCounts(console: string): Map<string, number> {
  const counts = new Map<string, number>();
  // A file that is being written is left out of a line.
  for (const [, line] of console.matchAll(/^noise counts (.*)$/gm)) {
    for (const [, name, count] of line!.matchAll(/(\S+)=(\d+)/g)) {
      counts.set(name!, Number(count));
    }
  }
  return counts;
}
