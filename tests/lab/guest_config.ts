/** An xl configuration: keys and values of `xl.cfg(5)`. */
export interface GuestConfig {
  /** The guest's name. */
  name: string;
  [key: string]: string | number | readonly string[];
}

/** Writes a configuration as xl reads it. */
export function guestConfigText(config: GuestConfig): string {
  return Object.entries(config)
    .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
    .join("");
}
