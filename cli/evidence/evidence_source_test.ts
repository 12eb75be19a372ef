import { assertEquals } from "@std/assert";
import { SymbolTable } from "../../guestos/symbol_table.ts";
import type { DomainGuest } from "../../xen/domain_guest.ts";
import type { CpuState } from "../../guestos/cpu_state.ts";
import { evidenceSource } from "./evidence_source.ts";

Deno.test("a guest that may grow is as large as it may become", () => {
  const guest = { domain: { id: 3, pages: 100, maxPages: 200 } };
  const source = evidenceSource(
    { control: { xenVersion: () => "4.17.7" } } as never,
    guest as unknown as DomainGuest<CpuState>,
    new SymbolTable([]),
    undefined,
    new AbortController().signal,
  );
  assertEquals(source.memory, 200 * 4096);
  assertEquals(source.xenVersion(), "4.17.7");
  assertEquals(source.kernel, undefined);
});
