import config from "./deno.json" with { type: "json" };

/** How this program came to be. */
export interface BuildInfo {
  /** Release of xkmon, as in `deno.json`. */
  version: string;
  /** `source` for a run from the source tree, else the method of `build.sh`. */
  method: "source" | "compile" | "bundle";
  /** Abbreviated Git commit, with `-dirty` for a changed tree, or `unknown`. */
  commit: string;
}

/** Facts of a run from source; `build.sh` puts its own in this module's place. */
export const buildInfo: BuildInfo = {
  version: config.version,
  method: "source",
  commit: "unknown",
};
