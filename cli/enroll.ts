import { DigestStore } from "../guestos/digest_store.ts";
import type { Options } from "./options.ts";
import { Output } from "./output.ts";

/** Keeps the digests of kernel files. */
export async function enroll(options: Options): Promise<number> {
  const output = new Output(options.json);
  const store = await DigestStore.open(options.digests);
  for (const file of options.files) {
    const entry = await store.enroll(file);
    output.write(
      options.json
        ? JSON.stringify({ type: "enrolled", ...entry })
        : `${entry.path}: enrolled, MD5 ${entry.md5}, SHA-256 ${entry.sha256}`,
    );
  }
  return 0;
}
