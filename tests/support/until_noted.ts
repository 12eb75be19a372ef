/**
 * Text for Dom0's shell that waits until the monitor of the domain `$domid` has
 * made its first note, and fails if it makes none. It starts no process for each
 * look, which would slow the monitor down.
 *
 * @param looks how many at most, 5 ms from one to the next.
 */
export function untilNoted(looks: number): string {
  return `mkfifo /tmp/wait.$$
exec 3<>/tmp/wait.$$
rm /tmp/wait.$$
tries=0
until [ -e "/run/xkmon/$domid.json" ]; do
  read -t 0.005 <&3
  [ $((tries += 1)) -lt ${looks} ] || exit 1
done`;
}
