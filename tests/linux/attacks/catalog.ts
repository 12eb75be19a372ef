import type { Attack } from "./attack.ts";
import { btfOffset } from "./catalog/btf_offset.ts";
import { cr0Wp } from "./catalog/cr0_wp.ts";
import { cr4Smap } from "./catalog/cr4_smap.ts";
import { cr4Smep } from "./catalog/cr4_smep.ts";
import { directMapExecutable } from "./catalog/direct_map_executable.ts";
import { fileOperations } from "./catalog/file_operations.ts";
import { ftraceCallData } from "./catalog/ftrace_call_data.ts";
import { ftraceCallModule } from "./catalog/ftrace_call_module.ts";
import { hookTraced } from "./catalog/hook_traced.ts";
import { hookUnlisted } from "./catalog/hook_unlisted.ts";
import { hookUntraced } from "./catalog/hook_untraced.ts";
import { jumpLabelElsewhere } from "./catalog/jump_label_elsewhere.ts";
import { jumpLabelFlipped } from "./catalog/jump_label_flipped.ts";
import { jumpTableEntry } from "./catalog/jump_table_entry.ts";
import { kallsymsAddress } from "./catalog/kallsyms_address.ts";
import { kallsymsName } from "./catalog/kallsyms_name.ts";
import { moduleDataExecutable } from "./catalog/module_data_executable.ts";
import { moduleText } from "./catalog/module_text.ts";
import { rodataRemapped } from "./catalog/rodata_remapped.ts";
import { rodataWritable } from "./catalog/rodata_writable.ts";
import { staticCallFunction } from "./catalog/static_call_function.ts";
import { staticCallKey } from "./catalog/static_call_key.ts";
import { staticCallSite } from "./catalog/static_call_site.ts";
import { syscallBranch } from "./catalog/syscall_branch.ts";
import { syscallEntry } from "./catalog/syscall_entry.ts";
import { syscallTableSlot } from "./catalog/syscall_table_slot.ts";
import { textByte } from "./catalog/text_byte.ts";
import { textSwapped } from "./catalog/text_swapped.ts";
import { textWritable } from "./catalog/text_writable.ts";
import { trapHandler } from "./catalog/trap_handler.ts";

/** Every attack, in the order of the matrix. */
export const ATTACKS: readonly Attack[] = [
  syscallTableSlot,
  syscallBranch,
  syscallEntry,
  trapHandler,
  hookTraced,
  hookUntraced,
  textByte,
  ftraceCallModule,
  ftraceCallData,
  hookUnlisted,
  jumpLabelElsewhere,
  jumpLabelFlipped,
  staticCallKey,
  staticCallSite,
  staticCallFunction,
  fileOperations,
  rodataWritable,
  rodataRemapped,
  textWritable,
  textSwapped,
  moduleText,
  moduleDataExecutable,
  directMapExecutable,
  cr0Wp,
  cr4Smep,
  cr4Smap,
  kallsymsAddress,
  kallsymsName,
  btfOffset,
  jumpTableEntry,
];
