/**
 * Numbers of Xen's and the C library's interfaces, under their C names. They
 * hold for 4.14 to 4.22. The probe program in `tests/probe/` is compiled
 * against the installed headers and compares.
 *
 * @module
 */

/** Everything that is neither an offset nor a size. */
export const constants = {
  /** Hypercall numbers (public/xen.h) */
  __HYPERVISOR_mmu_update: 1,
  __HYPERVISOR_memory_op: 12,
  __HYPERVISOR_multicall: 13,
  __HYPERVISOR_hvm_op: 34,

  /** Command of `mmu_update` that keeps accessed and dirty bits */
  MMU_PT_UPDATE_PRESERVE_AD: 2,

  /** Domain ids end below it (public/xen.h). */
  DOMID_FIRST_RESERVED: 0x7ff0,
  /** The domain that asks */
  DOMID_SELF: 0x7ff0,

  /** Why a domain is to stop (public/sched.h) */
  SHUTDOWN_reboot: 1,

  /** A page type whose writes an ioreq server gets (public/hvm/hvm_op.h) */
  HVMMEM_ram_rw: 0,
  HVMMEM_ram_ro: 1,
  HVMMEM_ioreq_server: 4,
  /** Command of `hvm_op` that tells the type of a page (ibid.) */
  HVMOP_get_mem_type: 15,
  /** Which accesses it gets, and that none is buffered (public/hvm/dm_op.h) */
  XEN_DMOP_IOREQ_MEM_ACCESS_WRITE: 2,
  HVM_IOREQSRV_BUFIOREQ_OFF: 0,
  /** The pages of an ioreq server, and the second (public/memory.h) */
  XENMEM_resource_ioreq_server: 0,
  XENMEM_resource_ioreq_server_frame_ioreq_0: 1,

  /** What a guest may do with a page (public/memory.h) */
  XENMEM_access_op: 21,
  XENMEM_access_op_get_access: 1,
  XENMEM_access_rx: 5,
  XENMEM_access_rwx: 7,

  /** What an event tells, and what an answer asks for (public/vm_event.h) */
  VM_EVENT_REASON_MEM_ACCESS: 1,
  VM_EVENT_REASON_WRITE_CTRLREG: 4,
  VM_EVENT_REASON_MOV_TO_MSR: 5,
  VM_EVENT_REASON_SINGLESTEP: 7,
  VM_EVENT_REASON_DESCRIPTOR_ACCESS: 13,
  VM_EVENT_FLAG_VCPU_PAUSED: 1,
  VM_EVENT_FLAG_EMULATE: 4,
  VM_EVENT_FLAG_EMULATE_NOWRITE: 8,
  VM_EVENT_FLAG_TOGGLE_SINGLESTEP: 16,
  VM_EVENT_FLAG_DENY: 64,
  VM_EVENT_FLAG_SET_REGISTERS: 256,
  VM_EVENT_X86_CR0: 0,
  VM_EVENT_X86_CR4: 2,
  VM_EVENT_DESC_IDTR: 1,
  VM_EVENT_DESC_GDTR: 2,
  VM_EVENT_DESC_LDTR: 3,
  VM_EVENT_DESC_TR: 4,
  MEM_ACCESS_W: 2,
  MEM_ACCESS_GLA_VALID: 8,
  MEM_ACCESS_FAULT_IN_GPT: 32,

  /** A log of the frames that a guest writes to (public/domctl.h) */
  XEN_DOMCTL_shadow_op: 10,
  XEN_DOMCTL_SHADOW_OP_OFF: 0,
  XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY: 2,
  XEN_DOMCTL_SHADOW_OP_PEEK: 12,

  /** What events can do to registers (public/domctl.h) */
  XEN_DOMCTL_monitor_op: 77,
  XEN_DOMCTL_MONITOR_EVENT_WRITE_CTRLREG: 0,
  XEN_DOMCTL_MONITOR_EVENT_SINGLESTEP: 2,
  XEN_DOMCTL_MONITOR_OP_CONTROL_REGISTERS: 4,

  /** What a virtual CPU's debugging does (public/domctl.h) */
  XEN_DOMCTL_DEBUG_OP_SINGLE_STEP_OFF: 0,

  /** An I/O request to memory (public/hvm/ioreq.h) */
  IOREQ_TYPE_COPY: 1,
  /** Progress of an I/O request (ibid.) */
  STATE_IOREQ_READY: 1,
  STATE_IOREQ_INPROCESS: 2,
  STATE_IORESP_READY: 3,

  /** What `xc_version` can be asked for (public/version.h) */
  XENVER_version: 0,
  XENVER_extraversion: 1,

  /** Lets the libraries' own messages stay out of xkmon's output */
  XTL_CRITICAL: 9,

  /** Protection and kind of a mapping (sys/mman.h) */
  PROT_READ: 1,
  PROT_WRITE: 2,
  MAP_SHARED: 1,
  MAP_FIXED: 16,

  /** No other program gets the descriptor (sys/eventfd.h) */
  EFD_CLOEXEC: 0o2000000,

  /** Events of poll(2); the last three are reported unasked (poll.h) */
  POLLIN: 0x001,
  POLLERR: 0x008,
  POLLHUP: 0x010,
  POLLNVAL: 0x020,

  /** Ends a process, whatever it does (signal.h) */
  SIGKILL: 9,
} as const;
