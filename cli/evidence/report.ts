import type { Evidence } from "../../detect/evidence/evidence.ts";
import type { Part } from "../../detect/evidence/part.ts";
import type { Incident } from "../../detect/incident.ts";

/** A file of an incident's folder. */
export interface KeptFile {
  readonly name: string;
  /** Bytes */
  readonly size: number;
  readonly sha256: string;
}

/** Something that should be in an incident's folder. */
export interface LackingFile {
  readonly name: string;
  readonly reason: string;
}

/** All that is known of an incident. */
export interface Report {
  readonly incident: Incident;
  readonly evidence: Evidence;
  /** The file that the guest's kernel was started from, where it is known */
  readonly kernel?: { readonly path: string; readonly sha256: string };
  /** Version of the hypervisor */
  readonly xen: Part<string>;
  /** Version of xkmon */
  readonly xkmon: string;
  /** Bytes that the guest has */
  readonly memory: number;
  readonly files: readonly KeptFile[];
  readonly lacking: readonly LackingFile[];
}
