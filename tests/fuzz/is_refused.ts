/**
 * Whether a reader refuses an input by the error that it documents.
 *
 * @throws Whatever else it throws
 */
export function isRefused(read: () => void): boolean {
  try {
    read();
    return false;
  } catch (error) {
    if (error instanceof SyntaxError) return true;
    throw error;
  }
}
