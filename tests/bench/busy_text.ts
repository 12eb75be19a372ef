/** Load from which on others share the processors with the lab's two CPUs. */
const BUSY = 2.5;

/**
 * How busy the machine was, as one sentence.
 *
 * @param loads load averages, one taken after each part.
 */
export function busyText(loads: readonly number[]): string {
  return `Load average after each part: ${
    loads.map((load) => load.toFixed(1)).join(", ")
  }${
    Math.max(...loads) > BUSY
      ? ". The machine was busy with other work: these figures are not final."
      : "."
  }`;
}
