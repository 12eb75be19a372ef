/**
 * What each rule guards, in a sentence or two, by its ID: the first paragraph
 * of its page in `docs/rules/`.
 */
export const ruleSummaries: Readonly<Record<string, string>> = {
  "XK-001": "The kernel's code is what the trusted copy says.",
  "XK-002":
    "Data that the kernel sets up once and never changes, the system call " +
    "table first of all, is what the trusted copy says.",
  "XK-003": "Every protected address leads to the frame to which it led when " +
    "xkmon armed, through the same tables, with the same permissions, and " +
    "no new mapping makes its frame writable.",
  "XK-004":
    "The handlers that a PV guest registered with Xen are the right ones: " +
    "of exceptions and interrupts (256 vectors), of event, failsafe and " +
    "system call callbacks, on every virtual CPU. Code segment and flags " +
    "(the privilege that may raise the vector by an instruction, whether " +
    "events are masked) are held as they were at the first reading.",
  "XK-005":
    "A kernel that lives in one address space keeps its root page table " +
    "(CR3).",
  "XK-006":
    "What decides which function a system call reaches is what the kernel " +
    "file says.",
  "XK-007":
    "A hook that the kernel itself knows of and accounts for. It is no " +
    "attack by what it is, so it is told once as `INSTRUMENTED`, and " +
    "never as `ATTACK`.",
  "XK-008":
    "What the guest's memory says of its kernel does not contradict the " +
    "kernel file or itself.",
  "XK-009":
    "Every executable page of the kernel half belongs to the kernel, a " +
    "module, a BPF program, a trampoline of ftrace, slots of kprobes or " +
    "the real-mode trampoline, by the kernel's own lists.",
  "XK-010": "No page of the kernel half is writable and executable at once.",
  "XK-011":
    "Each virtual CPU of a PVH or HVM guest uses the descriptor tables " +
    "that it used when xkmon armed, and they hold what they held.",
  "XK-012":
    "The model-specific registers by which system calls enter the kernel " +
    "hold the kernel's own entry points, on every virtual CPU.",
  "XK-013": "Protections of the processor that were on stay on.",
  "XK-014": "The code of a loaded module is that of its file, where xkmon is " +
    "given the files (`--modules DIR`), and stays what it was when xkmon " +
    "first saw it.",
};
