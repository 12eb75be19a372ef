import { bochs } from "./lab/mod.ts";
import { startLab } from "./support/start_lab.ts";
import { stoppedWriteSteps } from "./support/stopped_write_steps.ts";

Deno.test("a write trap, on a processor of Intel", async (t) => {
  await using lab = await startLab({
    emulator: bochs,
    bootTimeoutMs: 240_000,
  });
  await stoppedWriteSteps(t, lab, {
    rung: "trap",
    lands: {
      // What Xen writes for the guest goes by no table of the processor
      data_attack_hypercall: "compare",
      code_attack_hypercall: "compare",
      // The page that Xen puts in its place is an ordinary one
      data_attack_populate: "compare",
      data_attack_move: "compare",
    },
    tellsBytes: false,
    tellsCode: true,
    tellsTables: true,
    // Nothing stops it any more when it is tried again
    dropsWaiting: false,
    isSlow: true,
  });
});
