import {
  configure,
  getAnsiColorFormatter,
  getTextFormatter,
  type LogRecord,
  reset,
  type Sink,
} from "@logtape/logtape";
import { UsageError } from "./usage_error.ts";

/**
 * Opens the program's own log: everything in the file if one is named. What
 * goes wrong in the log itself is told on standard error.
 *
 * @param path File to append to
 * @param failed Called when the file cannot be written any more, once until it
 *   can be again
 * @throws {UsageError} If the file cannot be opened
 */
export async function openLog(
  path: string | undefined,
  failed: (error: Error) => void,
): Promise<AsyncDisposable> {
  const format = Deno.stderr.isTerminal() && !Deno.noColor
    ? getAnsiColorFormatter()
    : getTextFormatter();
  const encoder = new TextEncoder();
  const sinks: Record<string, Sink> = {
    stderr: (record) =>
      void Deno.stderr.writeSync(encoder.encode(format(record))),
  };
  let file: Deno.FsFile | undefined;
  if (path !== undefined) {
    file = openFile(path);
    sinks.file = fileSink(path, file, failed);
  }
  await configure({
    sinks,
    loggers: [
      {
        category: ["xkmon"],
        lowestLevel: "debug",
        sinks: file === undefined ? [] : ["file"],
      },
      {
        category: ["logtape", "meta"],
        lowestLevel: "error",
        sinks: ["stderr"],
      },
    ],
  });
  return {
    async [Symbol.asyncDispose]() {
      await reset();
      file?.close();
    },
  };
}

function openFile(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { append: true, create: true, mode: 0o600 });
  } catch (error) {
    throw new UsageError(
      `The log ${path} cannot be opened: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function fileSink(
  path: string,
  file: Deno.FsFile,
  failed: (error: Error) => void,
): Sink {
  const format = getTextFormatter();
  const encoder = new TextEncoder();
  let isFull = false;
  return (record: LogRecord) => {
    try {
      const line = encoder.encode(format(record));
      for (let at = 0; at < line.length;) {
        at += file.writeSync(line.subarray(at));
      }
      isFull = false;
    } catch (error) {
      if (isFull) return;
      isFull = true;
      failed(
        new UsageError(
          `The log ${path} cannot be written: ${(error as Error).message}. ` +
            "Make room or name another file with --log",
          { cause: error },
        ),
      );
    }
  };
}
