/** What a rule guards, under an ID that never changes its meaning. */
export interface Rule {
  /** Stable: `XK-001` */
  readonly id: string;
  /** A few words for people */
  readonly title: string;
  /** MITRE ATT&CK technique */
  readonly technique: { readonly id: string; readonly name: string };
}

const rootkit = { id: "T1014", name: "Rootkit" } as const;
const impair = {
  id: "T1562.001",
  name: "Impair Defenses: Disable or Modify Tools",
} as const;

/** Every rule; each has a page in `docs/rules/`. */
export const rules = {
  kernelText: { id: "XK-001", title: "kernel text", technique: rootkit },
  invariantData: { id: "XK-002", title: "invariant data", technique: rootkit },
  pageTables: { id: "XK-003", title: "page tables", technique: rootkit },
  trapTable: { id: "XK-004", title: "trap table", technique: impair },
  addressSpace: { id: "XK-005", title: "address space", technique: rootkit },
} as const satisfies Record<string, Rule>;
