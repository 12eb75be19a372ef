import { seededRandom } from "../../guestos/testing/seeded_random.ts";

const random = seededRandom(20_261_128);

/** What packs well, at near and far distances, then what does not at all. */
export const packedContent = Uint8Array.from([
  ...new TextEncoder().encode(
    Array.from({ length: 300 }, (_, index) => `${index * index % 97} words `)
      .join(""),
  ),
  ...Array.from({ length: 600 }, () => random(256)),
]);
