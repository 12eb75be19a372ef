/**
 * The symbol tables of every library that xkmon calls: one table a library,
 * each parameter with its C declaration. Nothing outside this file names a C
 * function's types. Sources: xenctrl.h, xenforeignmemory.h, xenevtchn.h,
 * xengnttab.h, xencall.h, xendevicemodel.h, xenstore.h, xentoollog.h of Xen 4.14
 * to 4.22.
 *
 * @module
 */

/** libxenctrl: domain control. Its soname carries the release. */
export const xenctrl = {
  xc_interface_open: {
    parameters: [
      "pointer", // xentoollog_logger *logger
      "pointer", // xentoollog_logger *dombuild_logger
      "u32", // unsigned open_flags
    ],
    result: "pointer", // xc_interface *
  },
  xc_interface_close: {
    parameters: ["pointer"], // xc_interface *xch
    result: "i32",
  },
  xc_domain_getinfolist: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t first_domain
      "u32", // unsigned int max_domains
      "buffer", // xc_domaininfo_t *info
    ],
    result: "i32", // number of domains, or -1
  },
  xc_domain_pause: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
    ],
    result: "i32",
  },
  xc_domain_unpause: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
    ],
    result: "i32",
  },
  xc_domain_destroy: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
    ],
    result: "i32",
    // Takes as long as freeing the guest's memory does
    nonblocking: true,
  },
  xc_domain_shutdown: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
      "i32", // int reason
    ],
    result: "i32",
  },
  xc_vcpu_getcontext: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
      "u32", // uint32_t vcpu
      "buffer", // vcpu_guest_context_any_t *ctxt
    ],
    result: "i32",
  },
  xc_domain_hvm_getcontext_partial: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
      "u16", // uint16_t typecode
      "u16", // uint16_t instance
      "buffer", // void *ctxt_buf
      "u32", // uint32_t size
    ],
    result: "i32",
  },
  xc_vcpu_getinfo: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
      "u32", // uint32_t vcpu
      "buffer", // xc_vcpuinfo_t *info
    ],
    result: "i32",
  },
  xc_translate_foreign_address: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t dom
      "i32", // int vcpu
      "u64", // unsigned long long virt
    ],
    result: "u64", // unsigned long: frame, or 0
    // Does not exist on Arm
    optional: true,
  },
  xc_version: {
    parameters: [
      "pointer", // xc_interface *xch
      "i32", // int cmd
      "buffer", // void *arg
    ],
    result: "i32",
  },
  xc_monitor_enable: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domain_id
      "buffer", // uint32_t *port
    ],
    result: "pointer", // void *, to be unmapped
  },
  xc_monitor_disable: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domain_id
    ],
    result: "i32",
  },
  xc_monitor_get_capabilities: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domain_id
      "buffer", // uint32_t *capabilities
    ],
    result: "i32",
  },
  xc_monitor_write_ctrlreg: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domain_id
      "u16", // uint16_t index
      "bool", // bool enable
      "bool", // bool sync
      "u64", // uint64_t bitmask
      "bool", // bool onchangeonly
    ],
    result: "i32",
  },
  xc_monitor_mov_to_msr: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domain_id
      "u32", // uint32_t msr
      "bool", // bool enable
      "bool", // bool onchangeonly
    ],
    result: "i32",
  },
  xc_monitor_descriptor_access: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domain_id
      "bool", // bool enable
    ],
    result: "i32",
  },
  xc_domctl: {
    parameters: [
      "pointer", // xc_interface *xch
      "buffer", // struct xen_domctl *domctl
    ],
    result: "i32",
  },
  xc_monitor_singlestep: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domain_id
      "bool", // bool enable
    ],
    result: "i32",
  },
  xc_domain_debug_control: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
      "u32", // uint32_t sop
      "u32", // uint32_t vcpu
    ],
    result: "i32",
  },
  xc_set_mem_access_multi: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domain_id
      "buffer", // uint8_t *access
      "buffer", // uint64_t *pages
      "u32", // uint32_t nr
    ],
    result: "i32",
  },
  xc_domain_increase_reservation: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
      "u64", // unsigned long nr_extents
      "u32", // unsigned int extent_order
      "u32", // unsigned int mem_flags
      "buffer", // xen_pfn_t *extent_start
    ],
    result: "i32",
  },
  xc_domain_decrease_reservation: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
      "u64", // unsigned long nr_extents
      "u32", // unsigned int extent_order
      "buffer", // xen_pfn_t *extent_start
    ],
    result: "i32",
  },
  xc_domain_setmaxmem: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
      "u64", // uint64_t max_memkb
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** libxenforeignmemory: maps guest frames. */
export const xenforeignmemory = {
  xenforeignmemory_open: {
    parameters: [
      "pointer", // xentoollog_logger *logger
      "u32", // unsigned open_flags
    ],
    result: "pointer", // xenforeignmemory_handle *
  },
  xenforeignmemory_close: {
    parameters: ["pointer"], // xenforeignmemory_handle *fmem
    result: "i32",
  },
  xenforeignmemory_map: {
    parameters: [
      "pointer", // xenforeignmemory_handle *fmem
      "u32", // uint32_t dom
      "i32", // int prot
      "usize", // size_t pages
      "buffer", // const xen_pfn_t arr[]
      "buffer", // int err[]
    ],
    result: "pointer", // void *
  },
  xenforeignmemory_map2: {
    parameters: [
      "pointer", // xenforeignmemory_handle *fmem
      "u32", // uint32_t dom
      "pointer", // void *addr
      "i32", // int prot
      "i32", // int flags
      "usize", // size_t num
      "buffer", // const xen_pfn_t arr[]
      "buffer", // int err[]
    ],
    result: "pointer", // void *
  },
  xenforeignmemory_unmap: {
    parameters: [
      "pointer", // xenforeignmemory_handle *fmem
      "pointer", // void *addr
      "usize", // size_t pages
    ],
    result: "i32",
  },
  xenforeignmemory_map_resource: {
    parameters: [
      "pointer", // xenforeignmemory_handle *fmem
      "u16", // domid_t domid
      "u32", // unsigned int type
      "u32", // unsigned int id
      "u64", // unsigned long frame
      "u64", // unsigned long nr_frames
      "buffer", // void **paddr
      "i32", // int prot
      "i32", // int flags
    ],
    result: "pointer", // xenforeignmemory_resource_handle *
  },
  xenforeignmemory_unmap_resource: {
    parameters: [
      "pointer", // xenforeignmemory_handle *fmem
      "pointer", // xenforeignmemory_resource_handle *fres
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** libxendevicemodel: what emulators of devices may do to a guest's memory. */
export const xendevicemodel = {
  xendevicemodel_open: {
    parameters: [
      "pointer", // struct xentoollog_logger *logger
      "u32", // unsigned int open_flags
    ],
    result: "pointer", // xendevicemodel_handle *
  },
  xendevicemodel_close: {
    parameters: ["pointer"], // xendevicemodel_handle *dmod
    result: "i32",
  },
  xendevicemodel_create_ioreq_server: {
    parameters: [
      "pointer", // xendevicemodel_handle *dmod
      "u16", // domid_t domid
      "i32", // int handle_bufioreq
      "buffer", // ioservid_t *id
    ],
    result: "i32",
  },
  xendevicemodel_destroy_ioreq_server: {
    parameters: [
      "pointer", // xendevicemodel_handle *dmod
      "u16", // domid_t domid
      "u16", // ioservid_t id
    ],
    result: "i32",
  },
  xendevicemodel_set_ioreq_server_state: {
    parameters: [
      "pointer", // xendevicemodel_handle *dmod
      "u16", // domid_t domid
      "u16", // ioservid_t id
      "i32", // int enabled
    ],
    result: "i32",
  },
  xendevicemodel_map_mem_type_to_ioreq_server: {
    parameters: [
      "pointer", // xendevicemodel_handle *dmod
      "u16", // domid_t domid
      "u16", // ioservid_t id
      "u16", // uint16_t type
      "u32", // uint32_t flags
    ],
    result: "i32",
  },
  xendevicemodel_set_mem_type: {
    parameters: [
      "pointer", // xendevicemodel_handle *dmod
      "u16", // domid_t domid
      "u32", // hvmmem_type_t mem_type
      "u64", // uint64_t first_pfn
      "u32", // uint32_t nr
    ],
    result: "i32",
  },
  xendevicemodel_modified_memory: {
    parameters: [
      "pointer", // xendevicemodel_handle *dmod
      "u16", // domid_t domid
      "u64", // uint64_t first_pfn
      "u32", // uint32_t nr
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** libxenevtchn: event channels. */
export const xenevtchn = {
  xenevtchn_open: {
    parameters: [
      "pointer", // struct xentoollog_logger *logger
      "u32", // unsigned int flags
    ],
    result: "pointer", // xenevtchn_handle *
  },
  xenevtchn_close: {
    parameters: ["pointer"], // xenevtchn_handle *xce
    result: "i32",
  },
  xenevtchn_fd: {
    parameters: ["pointer"], // xenevtchn_handle *xce
    result: "i32",
  },
  xenevtchn_bind_interdomain: {
    parameters: [
      "pointer", // xenevtchn_handle *xce
      "u32", // uint32_t domid
      "u32", // evtchn_port_t remote_port
    ],
    result: "i32", // local port, or -1
  },
  xenevtchn_unbind: {
    parameters: [
      "pointer", // xenevtchn_handle *xce
      "u32", // evtchn_port_t port
    ],
    result: "i32",
  },
  xenevtchn_pending: {
    parameters: ["pointer"], // xenevtchn_handle *xce
    result: "i32", // port, or -1
  },
  xenevtchn_unmask: {
    parameters: [
      "pointer", // xenevtchn_handle *xce
      "u32", // evtchn_port_t port
    ],
    result: "i32",
  },
  xenevtchn_notify: {
    parameters: [
      "pointer", // xenevtchn_handle *xce
      "u32", // evtchn_port_t port
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** libxengnttab: maps pages that a guest granted. */
export const xengnttab = {
  xengnttab_open: {
    parameters: [
      "pointer", // struct xentoollog_logger *logger
      "u32", // unsigned open_flags
    ],
    result: "pointer", // xengnttab_handle *
  },
  xengnttab_close: {
    parameters: ["pointer"], // xengnttab_handle *xgt
    result: "i32",
  },
  xengnttab_map_grant_ref: {
    parameters: [
      "pointer", // xengnttab_handle *xgt
      "u32", // uint32_t domid
      "u32", // uint32_t ref
      "i32", // int prot
    ],
    result: "pointer", // void *
  },
  xengnttab_unmap: {
    parameters: [
      "pointer", // xengnttab_handle *xgt
      "pointer", // void *start_address
      "u32", // uint32_t count
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** libxencall: hypercalls, with the buffers that they may point to. */
export const xencall = {
  xencall_open: {
    parameters: [
      "pointer", // struct xentoollog_logger *logger
      "u32", // unsigned open_flags
    ],
    result: "pointer", // xencall_handle *
  },
  xencall_close: {
    parameters: ["pointer"], // xencall_handle *xcall
    result: "i32",
  },
  xencall_alloc_buffer_pages: {
    parameters: [
      "pointer", // xencall_handle *xcall
      "usize", // size_t nr_pages
    ],
    result: "pointer", // void *
  },
  xencall_free_buffer_pages: {
    parameters: [
      "pointer", // xencall_handle *xcall
      "pointer", // void *p
      "usize", // size_t nr_pages
    ],
    result: "void",
  },
  xencall2: {
    parameters: [
      "pointer", // xencall_handle *xcall
      "u32", // unsigned int op
      "u64", // uint64_t arg1
      "u64", // uint64_t arg2
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** libxenstore: the store that guests and toolstack share. */
export const xenstore = {
  xs_open: {
    parameters: ["u64"], // unsigned long flags
    result: "pointer", // struct xs_handle *
  },
  xs_close: {
    parameters: ["pointer"], // struct xs_handle *xsh
    result: "void",
  },
  xs_read: {
    parameters: [
      "pointer", // struct xs_handle *h
      "u32", // xs_transaction_t t
      "buffer", // const char *path
      "buffer", // unsigned int *len
    ],
    result: "pointer", // void *, from malloc
  },
  xs_write: {
    parameters: [
      "pointer", // struct xs_handle *h
      "u32", // xs_transaction_t t
      "buffer", // const char *path
      "buffer", // const void *data
      "u32", // unsigned int len
    ],
    result: "bool",
  },
  xs_set_permissions: {
    parameters: [
      "pointer", // struct xs_handle *h
      "u32", // xs_transaction_t t
      "buffer", // const char *path
      "buffer", // struct xs_permissions *perms
      "u32", // unsigned int num_perms
    ],
    result: "bool",
  },
  xs_directory: {
    parameters: [
      "pointer", // struct xs_handle *h
      "u32", // xs_transaction_t t
      "buffer", // const char *path
      "buffer", // unsigned int *num
    ],
    result: "pointer", // char **, one block from malloc
  },
  xs_watch: {
    parameters: [
      "pointer", // struct xs_handle *h
      "buffer", // const char *path
      "buffer", // const char *token
    ],
    result: "bool",
  },
  xs_unwatch: {
    parameters: [
      "pointer", // struct xs_handle *h
      "buffer", // const char *path
      "buffer", // const char *token
    ],
    result: "bool",
  },
  xs_fileno: {
    parameters: ["pointer"], // struct xs_handle *h
    result: "i32",
  },
  xs_check_watch: {
    parameters: ["pointer"], // struct xs_handle *h
    result: "pointer", // char **, one block from malloc
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** libxentoollog: where the libraries above write their messages. */
export const xentoollog = {
  xtl_createlogger_stdiostream: {
    parameters: [
      "pointer", // FILE *f
      "u32", // xentoollog_level min_level
      "u32", // unsigned flags
    ],
    result: "pointer", // xentoollog_logger_stdiostream *
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** libc: a file as memory. */
export const fileMemory = {
  fopen: {
    parameters: [
      "buffer", // const char *pathname
      "buffer", // const char *mode
    ],
    result: "pointer", // FILE *
  },
  fileno: {
    parameters: ["pointer"], // FILE *stream
    result: "i32",
  },
  fclose: {
    parameters: ["pointer"], // FILE *stream
    result: "i32",
  },
  mmap: {
    parameters: [
      "pointer", // void *addr
      "usize", // size_t length
      "i32", // int prot
      "i32", // int flags
      "i32", // int fd
      "i64", // off_t offset
    ],
    result: "pointer", // void *
  },
  munmap: {
    parameters: [
      "pointer", // void *addr
      "usize", // size_t length
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** libc: what the libraries above leave to their callers. */
export const libc = {
  __errno_location: {
    parameters: [],
    result: "pointer", // int *
  },
  stderr: { type: "pointer" }, // FILE *
  free: {
    parameters: ["pointer"], // void *ptr
    result: "void",
  },
  munmap: fileMemory.munmap,
  memcmp: {
    parameters: [
      "pointer", // const void *s1
      "buffer", // const void *s2
      "usize", // size_t n
    ],
    result: "i32",
  },
  poll: {
    parameters: [
      "buffer", // struct pollfd *fds
      "u64", // nfds_t nfds
      "i32", // int timeout
    ],
    result: "i32",
    nonblocking: true,
  },
  ppoll: {
    parameters: [
      "buffer", // struct pollfd *fds
      "u64", // nfds_t nfds
      "buffer", // const struct timespec *timeout
      "pointer", // const sigset_t *sigmask
    ],
    result: "i32",
  },
  eventfd: {
    parameters: [
      "u32", // unsigned int initval
      "i32", // int flags
    ],
    result: "i32",
  },
  eventfd_read: {
    parameters: [
      "i32", // int fd
      "buffer", // eventfd_t *value
    ],
    result: "i32",
  },
  eventfd_write: {
    parameters: [
      "i32", // int fd
      "u64", // eventfd_t value
    ],
    result: "i32",
  },
  close: {
    parameters: ["i32"], // int fd
    result: "i32",
  },
  kill: {
    parameters: [
      "i32", // pid_t pid
      "i32", // int sig
    ],
    result: "i32",
  },
  clock_getcpuclockid: {
    parameters: [
      "i32", // pid_t pid
      "buffer", // clockid_t *clock_id
    ],
    result: "i32",
  },
  clock_gettime: {
    parameters: [
      "i32", // clockid_t clock_id
      "buffer", // struct timespec *tp
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;
