import type { LinuxGuestType, LinuxVersion } from "../lab/mod.ts";

/** The emulated machines, by the names of the lab. */
export type RungHost = "qemu" | "bochs";

/** A guest on a host, guarded in one way: a column of the matrix. */
export interface RungColumn {
  /** Its kernel: SimpleOS, or Linux of a version */
  readonly guest: "simpleos" | LinuxVersion;
  readonly host: RungHost;
  readonly type: LinuxGuestType;
  /** The rung that the column is about */
  readonly rung: "trap" | "gate" | "lock" | "protect" | "dirty" | "poll";
  /** `--rungs`: that one, and what takes over where it cannot be */
  readonly rungs: string;
}

const pv = { host: "qemu", type: "pv" } as const;
const amd = { host: "qemu", type: "pvh" } as const;
const intel = { host: "bochs", type: "pvh" } as const;

const lock = { rung: "lock", rungs: "lock,protect,poll" } as const;
const dirty = { rung: "dirty", rungs: "dirty,poll" } as const;
const poll = { rung: "poll", rungs: "poll" } as const;
// AMD's processors have no trap: of it only the registers are left
const gate = { rung: "gate", rungs: "trap,gate,poll" } as const;
const trap = { rung: "trap", rungs: "trap,gate,poll" } as const;

/** Every column; of each guest the strongest rung first. */
export const COLUMNS: readonly RungColumn[] = [
  { guest: "simpleos", ...pv, ...lock },
  { guest: "simpleos", ...pv, rung: "protect", rungs: "protect,poll" },
  { guest: "simpleos", ...pv, ...poll },
  { guest: "simpleos", ...amd, ...gate },
  { guest: "simpleos", ...amd, ...dirty },
  { guest: "simpleos", ...amd, ...poll },
  { guest: "simpleos", ...intel, ...trap },
  { guest: "simpleos", ...intel, rung: "gate", rungs: "gate,poll" },
  { guest: "simpleos", ...intel, ...poll },
  { guest: "6.1", ...pv, ...lock },
  { guest: "6.1", ...pv, ...poll },
  { guest: "6.1", ...amd, ...gate },
  { guest: "6.1", ...amd, ...dirty },
  { guest: "6.1", ...amd, ...poll },
  { guest: "6.1", ...intel, ...trap },
  { guest: "6.12", ...amd, ...gate },
  { guest: "6.12", ...amd, ...poll },
];
