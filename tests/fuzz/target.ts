/** A valid input, from which damaged ones are made. */
export interface Seed {
  readonly bytes: Uint8Array;
  /** Where damage tells most: tables, counts, positions; from, to */
  readonly ranges: readonly (readonly [number, number])[];
}

/** A reader of what may be forged, and what it is to be fed with. */
export interface Target {
  readonly name: string;
  readonly seeds: readonly Seed[];
  /** Milliseconds that one input may take, on a machine that is busy */
  readonly limit: number;
  /**
   * Reads an input, with all that the reader offers.
   *
   * @returns Whether it was taken for a valid one
   * @throws What the reader documents is caught here; anything else is a
   *   violation
   */
  read(input: Uint8Array<ArrayBuffer>): boolean;
}
