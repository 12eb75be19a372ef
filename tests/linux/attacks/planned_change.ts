/** A change that an attack would make; numbers and bytes in hexadecimal. */
export type PlannedChange =
  | {
    /** Of memory; whole words of 8 bytes */
    readonly kind: "memory";
    readonly address: string;
    readonly before: string;
    readonly after: string;
  }
  | {
    /** Of the last page-table entry on the way to an address */
    readonly kind: "entry";
    readonly address: string;
    readonly before: string;
    readonly after: string;
  }
  | {
    /** Of 8 bytes of the virtual CPU's state */
    readonly kind: "cpu";
    /** Offset in `struct hvm_hw_cpu` or `vcpu_guest_context_t` */
    readonly at: number;
    readonly before: string;
    readonly after: string;
  };
