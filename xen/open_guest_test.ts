import { assertEquals, assertThrows } from "@std/assert";
import type { Domain } from "./domains.ts";
import { NoSuchDomainError } from "./errors.ts";
import { HvmGuest } from "./hvm_guest.ts";
import { Journal } from "./journal.ts";
import { openGuest } from "./open_guest.ts";
import { PvGuest } from "./pv_guest.ts";
import { Machine } from "./testing/machine.ts";
import { SyntheticHost } from "./testing/synthetic_host.ts";

const ESRCH = 3;

const domain: Omit<Domain, "type"> = {
  id: 7,
  name: "web",
  uuid: "00112233-4455-6677-8899-aabbccddeeff",
  paused: false,
  dying: false,
  state: "running",
  pages: 16,
  maxPages: 16,
  cpuTime: 0n,
  onlineVcpus: 1,
  maxVcpus: 1,
};

for (
  const [type, kind] of [["PV", PvGuest], ["PVH or HVM", HvmGuest]] as const
) {
  Deno.test(`a ${type} guest is opened as what it is`, () => {
    using machine = new Machine();
    const xen = new SyntheticHost(machine, domain.id);
    using guest = openGuest(xen.host, { ...domain, type });
    assertEquals(guest instanceof kind, true);
    assertEquals(guest.domain, { ...domain, type });
    assertEquals(guest.root, xen.root);
  });

  Deno.test(`what is done to a ${type} guest is noted in its journal`, () => {
    using machine = new Machine();
    const xen = new SyntheticHost(machine, domain.id);
    const folder = Deno.makeTempDirSync();
    try {
      using journal = new Journal(domain.id, folder);
      using guest = openGuest(xen.host, { ...domain, type }, journal);
      guest.pauseForAttack();
      assertEquals(journal.left(domain.uuid)?.attack, true);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });

  Deno.test(`a ${type} guest that is gone cannot be opened`, () => {
    using machine = new Machine();
    const xen = new SyntheticHost(machine, domain.id);
    const open = () => openGuest(xen.host, { ...domain, type });
    xen.dying = true;
    assertThrows(open, NoSuchDomainError, "web is gone");
    xen.dying = false;
    xen.contextError = ESRCH;
    assertThrows(open, NoSuchDomainError, "web is gone");
    assertEquals(machine.mappedPages, 0);
  });
}
