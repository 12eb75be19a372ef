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
  systemCalls: {
    id: "XK-006",
    title: "system call dispatch",
    technique: rootkit,
  },
  instrumentation: {
    id: "XK-007",
    title: "instrumentation",
    technique: rootkit,
  },
  contradiction: {
    id: "XK-008",
    title: "contradiction in the kernel",
    technique: rootkit,
  },
  executableMemory: {
    id: "XK-009",
    title: "executable memory without an owner",
    technique: rootkit,
  },
  writableCode: {
    id: "XK-010",
    title: "memory both writable and executable",
    technique: impair,
  },
  descriptorTables: {
    id: "XK-011",
    title: "descriptor tables",
    technique: rootkit,
  },
  systemCallEntry: {
    id: "XK-012",
    title: "system call entry",
    technique: rootkit,
  },
  controlRegisters: {
    id: "XK-013",
    title: "control registers",
    technique: impair,
  },
  moduleText: { id: "XK-014", title: "module text", technique: rootkit },
} as const satisfies Record<string, Rule>;
