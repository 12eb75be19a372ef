/**
 * Gives memory back that is not used any more, now: most of a profile lies
 * outside of what the engine counts when it decides that for itself, and guests
 * that come back would have one profile pile up on the other. Does nothing in an
 * engine that was not started with `--expose-gc`.
 */
export function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}
