/** What has Dom0's shell tell the time, more exactly than `date` can there. */
export const TELL_TIME = "adjtimex | grep tv_";

/**
 * The time that {@linkcode TELL_TIME} told, milliseconds since 1970.
 *
 * @throws {Error} if the text holds none.
 */
export function toldTime(text: string): number {
  const [, seconds] = text.match(/tv_sec: +(\d+)/) ?? [];
  const [, micros] = text.match(/tv_usec: +(\d+)/) ?? [];
  if (seconds === undefined || micros === undefined) {
    throw new Error(`Dom0 told no time: ${text}`);
  }
  return Number(seconds) * 1000 + Number(micros) / 1000;
}
