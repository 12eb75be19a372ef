/** `USER_HZ`: ticks of processor time in a second */
const TICKS_PER_SECOND = 100;

/**
 * Processor time that a process took with all its threads, seconds.
 *
 * @param stat what `/proc/PID/stat` says (proc(5)); NaN if that is nothing.
 */
export function cpuSeconds(stat: string): number {
  // Fields 14 and 15, counted behind the name, which may hold anything
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
