import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";

/** `struct btf_header` and `struct btf_member` (include/uapi/linux/btf.h) */
const HEADER_SIZE = 4;
const TYPE_OFFSET = 8;
const STRING_OFFSET = 16;
const MEMBER_OFFSET = 8;

/** A monitor that believes the guest would follow a wrong list. */
export const btfOffset: Attack = {
  name: "btf-offset",
  description:
    "The kernel's own types say that `task_struct.tasks` is elsewhere.",
  rules: bothTypes("XK-002"),
  apply(target) {
    const { image } = target;
    const { offset: start } = image.section(".BTF")!;
    const word = (at: number) => image.view.getUint32(start + at, true);
    const header = word(HEADER_SIZE);
    const types = header + word(TYPE_OFFSET);
    const strings = header + word(STRING_OFFSET);
    const tasks = image.btf.member("task_struct", "tasks")!;
    const text = new TextEncoder().encode("\0tasks\0");
    for (let at = types; at < strings; at += 4) {
      if (word(at + MEMBER_OFFSET) !== 8 * tasks.offset) continue;
      const name = start + strings + word(at) - 1;
      const isTasks = text.every((byte, i) => image.bytes[name + i] === byte);
      if (!isTasks) continue;
      const bytes = new Uint8Array(4);
      const wanted = 8 * (tasks.offset + 16);
      new DataView(bytes.buffer).setUint32(0, wanted, true);
      target.write(image.address(start + at + MEMBER_OFFSET), bytes);
      return;
    }
    throw new TypeError("the types do not have task_struct.tasks");
  },
};
