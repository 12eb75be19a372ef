import { stubLibrary } from "./stub_library.ts";

/** How a libxenctrl behaves. */
export interface XenctrlBehaviour {
  /** Bytes of its `xc_domaininfo_t` */
  readonly infoSize?: 104 | 112;
  /** What it writes behind the fields that are known, a byte */
  readonly rest?: number;
  /** Error number of `xc_domain_getinfolist` */
  readonly listError?: number;
  /** Error number of `xc_interface_open` */
  readonly openError?: number;
  /** Whether it is one of Arm, or lacks what it must have */
  readonly without?: "xc_translate_foreign_address" | "xc_vcpu_getinfo";
}

const SOURCE = `
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int interfaces;
static int paused;
/* Frames that Dom0 has taken, what it may have, and what Xen has */
static unsigned long taken, dom0_most = 2000, available = 1500;

int stub_interfaces(void) { return interfaces; }
int stub_paused(void) { return paused; }
int stub_taken(void) { return taken; }

static int failed(int error) {
  errno = error;
  return -1;
}

void *xc_interface_open(void *logger, void *dombuild_logger, unsigned flags) {
  if (OPEN_ERROR) {
    errno = OPEN_ERROR;
    return NULL;
  }
  interfaces++;
  return malloc(1);
}

int xc_interface_close(void *xch) {
  free(xch);
  interfaces--;
  errno = 0;
  return 0;
}

/* A domain that nobody lists, but that is still there */
#define DYING 9

/* Domain 0 and two guests, with a gap between their ids as after a reboot */
static const uint16_t domains[] = { 0, 3, 7 };

int xc_domain_getinfolist(void *xch, uint32_t first, unsigned max, char *info) {
  unsigned count = 0;
  if (LIST_ERROR) return failed(LIST_ERROR);
  for (int i = 0; i < 3 && count < max; i++) {
    char *entry = info + INFO_SIZE * count;
    uint32_t flags = domains[i] == 7 ? 1 << 3 : 1 << 5;
    uint64_t pages = 1000 + domains[i], most = 2000 + domains[i];
    if (domains[i] == 0) pages = 1000 + taken, most = dom0_most;
    uint32_t vcpus = 1 + i, last_vcpu = 3;
    if (domains[i] < first) continue;
    memset(entry, REST, INFO_SIZE);
    memcpy(entry, &domains[i], 2);
    memcpy(entry + 4, &flags, 4);
    memcpy(entry + 8, &pages, 8);
    memcpy(entry + 16, &most, 8);
    memcpy(entry + 64, &vcpus, 4);
    memcpy(entry + 68, &last_vcpu, 4);
    memset(entry + 76, 0x10 + domains[i], 16);
    count++;
  }
  return count;
}

static int known(uint32_t domain) {
  return domain == 3 || domain == 7 ? 0 : failed(ESRCH);
}

int xc_domain_pause(void *xch, uint32_t domain) {
  if (known(domain) == 0) paused++;
  return known(domain);
}

int xc_domain_unpause(void *xch, uint32_t domain) {
  if (known(domain) == 0) paused--;
  return known(domain);
}

/* As many as Dom0 may have and Xen has */
int xc_domain_increase_reservation(void *xch, uint32_t domain,
                                   unsigned long count, unsigned order,
                                   unsigned flags, uint64_t *frames) {
  unsigned long i;
  if (domain != 0x7ff0 || order || flags) return failed(EINVAL);
  for (i = 0; i < count && taken < available; i++) {
    if (1000 + taken >= dom0_most) break;
    frames[i] = 0x5000 + taken++;
  }
  return i;
}

int xc_domain_decrease_reservation(void *xch, uint32_t domain,
                                   unsigned long count, unsigned order,
                                   uint64_t *frames) {
  unsigned long i;
  if (domain != 0x7ff0 || order) return failed(EINVAL);
  for (i = 0; i < count && frames[i] >= 0x5000; i++) taken--;
  return i;
}

int xc_domain_setmaxmem(void *xch, uint32_t domain, uint64_t kilobytes) {
  if (domain != 0) return failed(EINVAL);
  dom0_most = kilobytes / 4;
  return 0;
}

int xc_domain_destroy(void *xch, uint32_t domain) { return known(domain); }

int xc_domain_shutdown(void *xch, uint32_t domain, int reason) {
  return reason == 1 ? known(domain) : failed(EINVAL);
}

int xc_vcpu_getcontext(void *xch, uint32_t domain, uint32_t vcpu, char *context) {
  memset(context, 0x20 + vcpu, 5168);
  return known(domain);
}

int xc_domain_hvm_getcontext_partial(void *xch, uint32_t domain,
                                     uint16_t code, uint16_t vcpu,
                                     char *context, uint32_t size) {
  memset(context, 0x60 + code + vcpu, size);
  return domain == DYING ? failed(EINVAL) : known(domain);
}

#ifndef WITHOUT_xc_vcpu_getinfo
int xc_vcpu_getinfo(void *xch, uint32_t domain, uint32_t vcpu, char *info) {
  memset(info, 0x30 + vcpu, 24);
  return known(domain);
}
#endif

#ifndef WITHOUT_xc_translate_foreign_address
unsigned long xc_translate_foreign_address(
    void *xch, uint32_t domain, int vcpu, unsigned long long address) {
  return address < 0x1000 ? 0 : address >> 12;
}
#endif

/* A ring, of its domain's id, and its port */
void *xc_monitor_enable(void *xch, uint32_t domain, uint32_t *port) {
  if (known(domain) != 0) return NULL;
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(page, domain, 4096);
  *port = 40 + domain;
  return page;
}

/* Those of domain 3 alone: writes of control registers, and single steps */
int xc_monitor_get_capabilities(void *xch, uint32_t domain, uint32_t *bits) {
  if (domain == 7) return failed(ENOSYS);
  *bits = 1 << 0 | 1 << 2;
  return known(domain);
}

int xc_monitor_disable(void *xch, uint32_t domain) { return known(domain); }

/* Of the bits of CR0 or CR4, all but one are masked out */
int xc_monitor_write_ctrlreg(void *xch, uint32_t domain, uint16_t index,
                             _Bool enable, _Bool sync, uint64_t bitmask,
                             _Bool onchangeonly) {
  if (!enable || !sync || !onchangeonly) return failed(EINVAL);
  if (index != 0 && index != 2) return failed(EINVAL);
  return bitmask == ~(1ull << 16) ? known(domain) : failed(EINVAL);
}

int xc_monitor_mov_to_msr(void *xch, uint32_t domain, uint32_t msr,
                          _Bool enable, _Bool onchangeonly) {
  if (!enable || !onchangeonly) return failed(EINVAL);
  return msr == 0xc0000082 ? known(domain) : failed(EINVAL);
}

int xc_monitor_descriptor_access(void *xch, uint32_t domain, _Bool enable) {
  static _Bool enabled;
  if (known(domain) != 0) return -1;
  if (enable == enabled) return failed(EEXIST);
  enabled = enable;
  return 0;
}

/*
 * That events control registers can be asked for; and a log, which begins with
 * frame 3, of the 64 frames that a guest may have
 */
int xc_domctl(void *xch, unsigned char *domctl) {
  static _Bool logged;
  uint32_t command, op;
  uint16_t domain;
  memcpy(&command, domctl, 4);
  memcpy(&domain, domctl + 8, 2);
  memcpy(&op, domctl + 16, 4);
  if (command == 77 && op == 4) return known(domain);
  if (command != 10 || known(domain) != 0) return failed(command == 10 ? ESRCH : EINVAL);
  if (op == 2 && !logged) return logged = 1, 0;
  if (op == 0) return logged = 0, 0;
  if (op != 12) return failed(EINVAL);
  unsigned char *bitmap;
  uint64_t pages;
  memcpy(&bitmap, domctl + 32, 8);
  memcpy(&pages, domctl + 40, 8);
  if (pages > 64) pages = 64;
  memset(bitmap, 0, pages / 8);
  if (logged) bitmap[0] = 1 << 3;
  memcpy(domctl + 40, &pages, 8);
  return 0;
}

int xc_monitor_singlestep(void *xch, uint32_t domain, _Bool enable) {
  return enable ? known(domain) : failed(EINVAL);
}

int xc_domain_debug_control(void *xch, uint32_t domain, uint32_t sop,
                            uint32_t vcpu) {
  return sop == 0 && vcpu < 2 ? known(domain) : failed(EINVAL);
}

/* As on a processor of Intel whose guests have 16 frames */
int xc_set_mem_access_multi(void *xch, uint32_t domain, uint8_t *access,
                            uint64_t *pages, uint32_t nr) {
  for (uint32_t i = 0; i < nr; i++) {
    if (access[i] != 5 && access[i] != 7) return failed(EINVAL);
    if (pages[i] >= 16) return failed(ESRCH);
  }
  return known(domain);
}

int xc_version(void *xch, int command, void *buffer) {
  if (command == 0) return 4 << 16 | 17;
  /* As long as it can be, which leaves no room for a zero */
  if (command == 1) memcpy(buffer, ".7-of-15-letters", 16);
  return 0;
}
`;

/**
 * Compiles a libxenctrl that knows the domains 0, 3 and 7.
 *
 * It exports `stub_interfaces`, how many interfaces are open, `stub_paused`,
 * how many pauses nobody has undone, and `stub_taken`, how many frames Dom0 has
 * taken.
 *
 * @param path Where it is to be
 * @returns The path
 */
export function xenctrlStub(
  path: string,
  behaviour: XenctrlBehaviour = {},
): Promise<string> {
  const { infoSize = 112, rest = 0, listError = 0, openError = 0, without } =
    behaviour;
  return stubLibrary(path, SOURCE, {
    INFO_SIZE: infoSize,
    REST: rest,
    LIST_ERROR: listError,
    OPEN_ERROR: openError,
    ...(without === undefined ? {} : { [`WITHOUT_${without}`]: 1 }),
  });
}
