import { assertEquals } from "@std/assert";
import { CodeOwners } from "./code_owners.ts";
import { describeCode } from "./describe_code.ts";
import { SyntheticKernel } from "./testing/synthetic_kernel.ts";

const MODULE = 0xffff_ffff_c000_0000n;

Deno.test("an address of code is told by its function or its owner", () => {
  const kernel = new SyntheticKernel();
  const { image, memory } = kernel;
  kernel.addModule("lab", { start: MODULE, size: 0x1000 });
  const owners = new CodeOwners(image, memory);
  const describe = (address: bigint) => describeCode(address, image, owners);
  assertEquals(describe(kernel.at(0x100)), "function_100");
  assertEquals(describe(kernel.at(0x123)), "function_100+0x23");
  assertEquals(describe(MODULE), "module lab");
  assertEquals(describe(MODULE + 0x20n), "module lab+0x20");
  assertEquals(
    describe(MODULE + 0x1000n),
    "0xffffffffc0001000, which nobody owns",
  );
});
