/** The attacks that SimpleOS carries out on itself, by the names it knows. */
export const ATTACKS = [
  "data_attack",
  "code_attack",
  "data_attack_remap",
  "code_attack_remap",
  "data_attack_hypercall",
  "code_attack_hypercall",
  "data_attack_alias",
  "code_attack_alias",
  "data_attack_swap",
  "mute_attack",
] as const;

/**
 * The same of a PVH guest, which has descriptor tables of its own, and to which
 * a frame is a number.
 */
export const PVH_ATTACKS = [
  ...ATTACKS,
  "idt_attack",
  "data_attack_populate",
  "data_attack_move",
] as const;

/** One of them. */
export type Attack = typeof PVH_ATTACKS[number];
