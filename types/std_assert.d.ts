/** The part of `@std/assert` that the tests use. */
// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;
export class AssertionError extends Error {}
export function assert(
  expression: unknown,
  message?: string,
): asserts expression;
export function assertEquals<T>(actual: T, expected: T, message?: string): void;
export function assertNotEquals<T>(
  actual: T,
  expected: T,
  message?: string,
): void;
export function assertExists<T>(
  actual: T,
  message?: string,
): asserts actual is NonNullable<T>;
export function assertMatch(
  actual: string,
  expected: RegExp,
  message?: string,
): void;
export function assertStringIncludes(
  actual: string,
  expected: string,
  message?: string,
): void;
export function assertGreater<T>(
  actual: T,
  expected: T,
  message?: string,
): void;
export function assertGreaterOrEqual<T>(
  actual: T,
  expected: T,
  message?: string,
): void;
export function assertLess<T>(actual: T, expected: T, message?: string): void;
export function assertLessOrEqual<T>(
  actual: T,
  expected: T,
  message?: string,
): void;
export function assertInstanceOf<T>(
  actual: unknown,
  // deno-lint-ignore no-explicit-any
  expected: abstract new (...args: any[]) => T,
  message?: string,
): asserts actual is T;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass?: ErrorClass<E>,
  includes?: string,
): E;
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass?: ErrorClass<E>,
  includes?: string,
): Promise<E>;
export function fail(message?: string): never;
