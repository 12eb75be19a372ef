import type { LoadedCode, TrustedCode } from "../profile.ts";
import type { KernelModule } from "./code_owners.ts";
import type { GuestState } from "./guest_state.ts";
import { moduleSites } from "./module_sites.ts";
import { patchSites } from "./patches/patch_sites.ts";
import {
  type ModulePredictor,
  type PredictedModule,
  UnknownModuleError,
} from "./predict_module.ts";
import type { PredictedText } from "./predict_text.ts";
import { TextSites } from "./text_sites.ts";

const PAGE_SIZE = 4096;
/** Code of the largest module, bytes */
const MAX_MODULE = 16 << 20;

/**
 * The code of all modules that are up. They come and go while others are looked
 * at, so that the list is read anew, as often as a look may do that.
 *
 * @param text The kernel's own
 * @param predictor Knows the modules' files; without it, first readings are
 *   trusted but for the places that the kernel rewrites
 */
export function loadedCode(
  state: GuestState,
  text: Pick<PredictedText, "thunk">,
  predictor: ModulePredictor | undefined,
): LoadedCode[] {
  state.renew();
  return state.owners.modules.filter(({ isLive, text }) =>
    isLive && text.size > 0 && text.size <= MAX_MODULE &&
    text.start % BigInt(PAGE_SIZE) === 0n
  ).map((module) => {
    const { name, text: { start, size } } = module;
    // Made when the module is first seen: tables are read then
    let living: TextSites | undefined;
    return {
      name: `module ${name}`,
      start,
      size: Math.ceil(size / PAGE_SIZE) * PAGE_SIZE,
      living: {
        judge: (address, read) => living!.judge(address, read),
        isBusy: () => state.isPatching,
        renew: () => state.renew(),
      },
      trust(found: Uint8Array): TrustedCode {
        const { sites, ...trusted } = trust(
          state,
          module,
          found,
          text,
          predictor,
        );
        living = new TextSites(state.image, state, sites);
        return trusted;
      },
    };
  });
}

function trust(
  state: GuestState,
  module: KernelModule,
  found: Uint8Array,
  { thunk }: Pick<PredictedText, "thunk">,
  predictor: ModulePredictor | undefined,
): TrustedCode & Pick<PredictedModule, "sites"> {
  let doubt: string | undefined;
  if (predictor !== undefined) {
    try {
      return predictor.predict(module, found);
    } catch (error) {
      if (!(error instanceof UnknownModuleError)) throw error;
      doubt = `${error.message}: its first reading is trusted`;
    }
  }
  const sites = moduleSites(state, module, thunk);
  const bytes = found.slice();
  const start = Number(module.text.start - state.image.base);
  patchSites({ text: bytes, found, guest: state.data }, sites, start);
  return { bytes, sites, ...(doubt === undefined ? {} : { doubt }) };
}
