/** How a command in Dom0 ended, and what it wrote. */
export interface CommandResult {
  /** Exit status; 128 + signal number if a signal ended it, as shells say. */
  code: number;
  /** Standard output as text. */
  stdout: string;
  /** Standard error as text. */
  stderr: string;
  /** Standard output as it came. */
  bytes: Uint8Array<ArrayBuffer>;
}
