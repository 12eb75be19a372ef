/**
 * SimpleOS, the guest kernel that the tests attack: built, started, commanded.
 *
 * @example
 * ```ts
 * await using lab = await Lab.start();
 * const simpleos = await startSimpleOS(lab);
 * console.log(await simpleos.command("ping"));
 * ```
 *
 * @module
 */
export { ATTACKS, PVH_ATTACKS } from "./attacks.ts";
export { buildSimpleOS } from "./build_simpleos.ts";
export { SimpleOS } from "./simpleos.ts";
export {
  type SimpleOSType,
  type StartOptions,
  startSimpleOS,
} from "./start_simpleos.ts";
