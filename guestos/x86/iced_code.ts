/**
 * The WebAssembly code of iced-x86. For a run from source; `build.sh` puts a
 * module with the packed code itself in this one's place.
 */
export async function icedCode(): Promise<Uint8Array<ArrayBuffer>> {
  const { default: code } = await import(
    "iced-x86/iced_x86_bg.wasm",
    { with: { type: "bytes" } }
  );
  return code;
}
