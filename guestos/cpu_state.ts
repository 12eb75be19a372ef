/** One entry of a PV guest's trap table. */
export interface TrapHandler {
  readonly vector: number;
  /** Guest virtual address of the handler */
  readonly address: bigint;
  readonly cs: number;
  readonly flags: number;
}

/** What is known of a virtual CPU, whatever the guest's type. */
interface AnyCpuState {
  readonly vcpu: number;
  /** Frame of the kernel's root page table */
  readonly root: bigint;
  readonly ip: bigint;
}

/** What a PV guest told Xen of one virtual CPU. */
export interface PvCpuState extends AnyCpuState {
  readonly kind: "pv";
  /** Handlers that are set, by vector */
  readonly traps: readonly TrapHandler[];
  /** Entry points of event, failsafe and system call, as addresses */
  readonly callbacks: {
    readonly event: bigint;
    readonly failsafe: bigint;
    readonly syscall: bigint;
  };
}

/** A descriptor table register. */
export interface DescriptorTable {
  /** Guest virtual address of the first descriptor */
  readonly base: bigint;
  /** Offset of its last byte */
  readonly limit: number;
}

/**
 * The registers of a virtual CPU with hardware virtualization. A core file
 * holds some of them only; what it lacks is left out.
 */
export interface HvmCpuState extends AnyCpuState {
  readonly kind: "hvm";
  readonly cr0: bigint;
  readonly cr4: bigint;
  readonly idt?: DescriptorTable;
  readonly gdt?: DescriptorTable;
  /** Model-specific registers: where system calls enter the kernel */
  readonly msrs?: {
    readonly star: bigint;
    readonly lstar: bigint;
    readonly cstar: bigint;
    readonly sysenterIp: bigint;
  };
}

/** State of one virtual CPU. */
export type CpuState = PvCpuState | HvmCpuState;
