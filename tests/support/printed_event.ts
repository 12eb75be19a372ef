/** A finding as `xkmon --json` prints it, as far as tests look at it. */
export interface PrintedFinding {
  readonly rule: {
    readonly id: string;
    /** Of MITRE ATT&CK. */
    readonly technique: { readonly id: string };
  };
  readonly seen: string;
  readonly what: string;
  readonly address: string;
  readonly symbol: string;
  readonly summary: string;
  readonly expected?: string;
  readonly found?: string;
  readonly attempted?: string;
  readonly drift?: string;
  readonly method?: string;
  readonly ip?: string;
  readonly ipSymbol?: string;
}

/** A place of which xkmon could not tell, as it prints it. */
export interface PrintedUnreadable {
  readonly rule: { readonly id: string };
  readonly what: string;
  readonly address?: string;
  readonly reason: string;
}

/** A hook in the kernel that xkmon accepts, as it prints it. */
export interface PrintedInstrumentation {
  /** Whose it is. */
  readonly by: string;
  /** The first of its places, and what that is part of. */
  readonly address: string;
  readonly symbol: string;
  /** How many there are. */
  readonly places: number;
}

/** A line of `xkmon --json`. */
export interface PrintedEvent {
  readonly type:
    | "armed"
    | "finding"
    | "unreadable"
    | "instrumentation"
    | "response"
    | "notice";
  readonly time: string;
  readonly domain: { readonly id: number; readonly name: string };
  /** Of a notice or a response. */
  readonly text?: string;
  /** Of `armed`. */
  readonly phase?: "booting" | "running";
  /** Of `armed`. */
  readonly entries?: number;
  /** Of `armed`. */
  readonly registers?: boolean;
  /** Of `armed`. */
  readonly regions?: readonly {
    readonly name: string;
    readonly source: string;
    readonly rung: string;
  }[];
  readonly finding?: PrintedFinding;
  readonly unreadable?: PrintedUnreadable;
  readonly instrumentation?: PrintedInstrumentation;
  readonly response?: string;
  /** Of a response: where evidence was kept. */
  readonly evidence?: string;
}
