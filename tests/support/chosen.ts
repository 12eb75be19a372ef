/**
 * Those of some names that an option asks for, or all.
 *
 * @param asked What `parseArgs` has of an option that may be given repeatedly
 * @throws {TypeError} if it asks for others.
 */
export function chosen<T extends string>(
  all: readonly T[],
  asked: unknown,
): T[] {
  const names = [asked ?? []].flat().map(String);
  const unknown = names.filter((name) => !all.some((one) => one === name));
  if (unknown.length > 0) throw new TypeError(`no such thing: ${unknown}`);
  return all.filter((name) => names.length === 0 || names.includes(name));
}
