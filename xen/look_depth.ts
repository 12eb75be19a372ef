/**
 * How closely a guest is looked at anew.
 *
 * - `cpus`: its virtual CPUs, as when one of them waits for an answer
 * - `pass`: also whether its memory is what it was, once a second
 * - `full`: also where nothing can have been written, and all mapped anew
 */
export type LookDepth = "cpus" | "pass" | "full";
