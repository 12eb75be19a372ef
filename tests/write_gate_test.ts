import { startLab } from "./support/start_lab.ts";
import { stoppedWriteSteps } from "./support/stopped_write_steps.ts";

Deno.test("a write gate", async (t) => {
  await using lab = await startLab();
  await stoppedWriteSteps(t, lab, {
    rung: "gate",
    lands: {
      // Xen's grant copy asks for no type of page
      data_attack_hypercall: "compare",
      code_attack_hypercall: "compare",
      // Which page it is, the guest's own tables decide
      data_attack_swap: "compare",
      // The page that Xen puts in its place is an ordinary one
      data_attack_populate: "compare",
      data_attack_move: "compare",
    },
    tellsBytes: true,
    tellsCode: false,
    tellsTables: false,
    dropsWaiting: true,
    isSlow: false,
  });
});
