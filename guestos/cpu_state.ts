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

/** Registers of a virtual CPU, in the order in which they are shown. */
export const registerNames = [
  ...["rip", "rsp", "rbp", "rflags"] as const,
  ...["rax", "rbx", "rcx", "rdx", "rsi", "rdi"] as const,
  ...["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const,
  ...["cs", "ss", "fs_base", "gs_base_kernel", "gs_base_user"] as const,
  ...["cr0", "cr2", "cr3", "cr4"] as const,
  ...["dr0", "dr1", "dr2", "dr3", "dr6", "dr7"] as const,
];
export type RegisterName = typeof registerNames[number];

/** What the registers of a virtual CPU hold. */
export interface CpuRegisters {
  readonly vcpu: number;
  readonly values: Readonly<Record<RegisterName, bigint>>;
}
