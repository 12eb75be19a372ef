/** A guest whose virtual CPUs wait for answers of this process. */
export interface GatedDomain {
  /** Domain id */
  readonly id: number;
  readonly maxVcpus: number;
}
