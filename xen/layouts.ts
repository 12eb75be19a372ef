/**
 * Layouts of the C structures that xkmon reads, on 64-bit x86: byte offsets
 * and sizes, with the releases that they hold for. The probe program in
 * `tests/probe/` is compiled against the installed headers and compares.
 *
 * @module
 */

/** Bytes of a page and of a frame */
export const PAGE_SIZE = 4096;

/**
 * `xc_domaininfo_t` (struct xen_domctl_getdomaininfo, public/domctl.h).
 * Offsets hold for 4.14 to 4.22. The size is 104 in 4.14 and 4.15 and 112
 * from 4.16 on, so the library in use is measured: see `XenControl`.
 */
export const domainInfo = {
  sizes: [104, 112],
  domain: 0, // domid_t, u16
  flags: 4, // u32, XEN_DOMINF_*
  tot_pages: 8, // u64
  max_pages: 16, // u64
  shared_info_frame: 48, // u64
  cpu_time: 56, // u64, ns
  nr_online_vcpus: 64, // u32
  max_vcpu_id: 68, // u32
  handle: 76, // u8[16], the UUID
  cpupool: 92, // u32
} as const;

/** `XEN_DOMINF_*`, 4.14 to 4.22 (public/domctl.h) */
export const domainFlags = {
  dying: 1 << 0,
  hvm_guest: 1 << 1,
  shutdown: 1 << 2,
  paused: 1 << 3,
  blocked: 1 << 4,
  running: 1 << 5,
  shutdownmask: 255,
  shutdownshift: 16,
} as const;

/** `xc_vcpuinfo_t` (struct xen_domctl_getvcpuinfo), 4.14 to 4.22 */
export const vcpuInfo = {
  size: 24,
  vcpu: 0, // u32
  online: 4, // u8
  blocked: 5, // u8
  running: 6, // u8
  cpu_time: 8, // u64, ns
  cpu: 16, // u32
} as const;

/**
 * `vcpu_guest_context_t` of x86-64 (public/arch-x86/xen.h and xen-x86_64.h),
 * 4.14 to 4.22.
 */
export const vcpuContext = {
  size: 5168,
  flags: 512, // u64
  user_regs: 520,
  rip: 520 + 128, // u64
  rsp: 520 + 152, // u64
  trap_ctxt: 720, // struct trap_info[256]
  gdt_frames: 4832, // u64[16]
  gdt_ents: 4960, // u64
  ctrlreg: 4984, // u64[8]; [3] is CR3, frame << 12
  event_callback_eip: 5112, // u64
  failsafe_callback_eip: 5120, // u64
  syscall_callback_eip: 5128, // u64
} as const;

/** Registers in `vcpu_guest_context_t`, each a u64, 4.14 to 4.22 */
export const vcpuRegisters = {
  r15: 520,
  r14: 528,
  r13: 536,
  r12: 544,
  rbp: 552,
  rbx: 560,
  r11: 568,
  r10: 576,
  r9: 584,
  r8: 592,
  rax: 600,
  rcx: 608,
  rdx: 616,
  rsi: 624,
  rdi: 632,
  rip: 648,
  rflags: 664,
  rsp: 672,
  cr0: 4984,
  cr2: 5000,
  cr3: 5008,
  cr4: 5016,
  dr0: 5048,
  dr1: 5056,
  dr2: 5064,
  dr3: 5072,
  dr6: 5096,
  dr7: 5104,
  fs_base: 5144,
  gs_base_kernel: 5152,
  gs_base_user: 5160,
} as const;

/** Segment selectors in `vcpu_guest_context_t`, each a u16, 4.14 to 4.22 */
export const vcpuSelectors = {
  cs: 656,
  ss: 680,
} as const;

/** `struct trap_info`, 4.14 to 4.22 */
export const trapInfo = {
  size: 16,
  count: 256,
  vector: 0, // u8
  flags: 1, // u8
  cs: 2, // u16
  address: 8, // u64
} as const;

/** `struct mmu_update` (public/xen.h), 4.14 to 4.22 */
export const mmuUpdate = {
  size: 16,
  ptr: 0, // u64, machine address of the entry | command
  val: 8, // u64, new entry
} as const;

/** `struct xen_hvm_get_mem_type` (public/hvm/hvm_op.h), 4.14 to 4.22 */
export const hvmGetMemType = {
  size: 16,
  domid: 0, // u16
  mem_type: 2, // u16, what Xen answers
  pfn: 8, // u64
} as const;

/** `struct xen_mem_access_op` (public/memory.h), 4.14 to 4.22 */
export const memAccessOp = {
  size: 32,
  op: 0, // u8
  access: 1, // u8, what Xen answers
  domid: 2, // u16
  pfn: 8, // u64
} as const;

/** `struct multicall_entry` (public/xen.h), 4.14 to 4.22 */
export const multicallEntry = {
  size: 64,
  op: 0, // u64
  result: 8, // i64, the call's value or -errno
  args: 16, // u64[6]
} as const;

/**
 * `ioreq_t` (public/hvm/ioreq.h), 4.14 to 4.22: an access that an emulator of
 * devices is to make for a virtual CPU, which waits for it. The page of a
 * server has one for each virtual CPU.
 */
export const ioreq = {
  size: 32,
  addr: 0, // u64, guest physical
  data: 8, // u64, or guest physical address of it
  count: 16, // u32, for rep prefixes
  bytes: 20, // u32, size of one access
  vp_eport: 24, // u32, event channel
  bits: 30, // u8, see `ioreqBits`
  type: 31, // u8
} as const;

/** The fields of the byte `bits` of `ioreq_t`, as masks */
export const ioreqBits = {
  state: 15, // STATE_IOREQ_*, STATE_IORESP_READY
  data_is_ptr: 16,
  dir: 32, // set: the guest reads
  df: 64,
} as const;

/**
 * `vm_event_t` (public/vm_event.h): something that happened in a guest. The
 * offsets hold for 4.14 to 4.22; the size grew with the registers, from version
 * 6 (4.14) to 7.
 */
export const vmEvent = {
  sizes: [384, 400],
  version: 0, // u32, VM_EVENT_INTERFACE_VERSION
  flags: 4, // u32, VM_EVENT_FLAG_*
  reason: 8, // u32, VM_EVENT_REASON_*
  vcpu_id: 12, // u32
  gfn: 24, // u64, u.mem_access
  offset: 32, // u64
  gla: 40, // u64
  access: 48, // u32, MEM_ACCESS_*
  ctrlreg: 24, // u32, u.write_ctrlreg.index, VM_EVENT_X86_*
  ctrlreg_new: 32, // u64
  ctrlreg_old: 40, // u64
  msr: 24, // u64, u.mov_to_msr
  msr_new: 32, // u64
  msr_old: 40, // u64
  descriptor: 40, // u8, u.desc_access, VM_EVENT_DESC_*
  desc_is_write: 41, // u8
  rip: 208, // u64, data.regs.x86
} as const;

/** The ring of `vm_event_t`, a `vm_event_sring_t` (public/io/ring.h) */
export const vmEventRing = {
  req_prod: 0, // u32
  req_event: 4, // u32
  rsp_prod: 8, // u32
  rsp_event: 12, // u32
  ring: 64, // entries
} as const;

/**
 * `struct xen_domctl` (public/domctl.h), as far as it asks for monitor events
 * and for the log of what a guest writes. The library sets the interface's
 * version.
 */
export const domctl = {
  cmd: 0, // u32, XEN_DOMCTL_*
  domain: 8, // u16
  op: 16, // u32, u.monitor_op.op, XEN_DOMCTL_MONITOR_OP_*
  shadow_op: 16, // u32, u.shadow_op.op, XEN_DOMCTL_SHADOW_OP_*
  dirty_bitmap: 32, // u64, u.shadow_op, address of a buffer for hypercalls
  pages: 40, // u64, bits of the buffer; then those that Xen wrote
} as const;

/** `struct pollfd` (poll.h) */
export const pollfd = {
  size: 8,
  fd: 0, // i32
  events: 4, // i16
  revents: 6, // i16
} as const;

/**
 * `struct hvm_hw_cpu` (public/arch-x86/hvm/save.h), 4.14 to 4.22: newer ones
 * are longer.
 */
export const hvmCpu = {
  code: 2, // HVM_SAVE_CODE(CPU)
  rax: 512, // u64
  rbx: 520, // u64
  rcx: 528, // u64
  rdx: 536, // u64
  rbp: 544, // u64
  rsi: 552, // u64
  rdi: 560, // u64
  rsp: 568, // u64
  r8: 576, // u64, and those up to r15 behind it
  rip: 640, // u64
  rflags: 648, // u64
  cr0: 656, // u64
  cr3: 672, // u64
  cr4: 680, // u64
  idtr_limit: 800, // u32
  gdtr_limit: 804, // u32
  fs_base: 832, // u64
  gs_base: 840, // u64
  idtr_base: 872, // u64
  gdtr_base: 880, // u64
  cs_arbytes: 888, // u32, without the four bits of the limit among them
  sysenter_eip: 936, // u64
  msr_lstar: 960, // u64
  msr_star: 968, // u64
  msr_cstar: 976, // u64
  msr_efer: 992, // u64
} as const;
