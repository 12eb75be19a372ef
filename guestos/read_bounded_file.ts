/** The largest file that is read whole, bytes: 512 MiB. */
export const MAX_FILE_SIZE = 512 * 1024 * 1024;

/**
 * Reads a regular file whole, if it is not too large.
 *
 * @param path The file; symbolic links are followed
 * @param limit Most bytes it may have
 * @throws {Deno.errors.NotFound} If there is no such file
 * @throws {Deno.errors.IsADirectory} If it is a directory
 * @throws {TypeError} If it is another thing that is no regular file
 * @throws {RangeError} If it is too large
 * @throws {Deno.errors.Busy} If it changes size while it is read
 */
export async function readBoundedFile(
  path: string,
  limit: number = MAX_FILE_SIZE,
): Promise<Uint8Array<ArrayBuffer>> {
  // Asked before opening: to open a named pipe would wait for a writer
  const { isDirectory, isFile } = await stat(path);
  if (isDirectory) {
    throw new Deno.errors.IsADirectory(`${path} is a directory, not a file`);
  }
  if (!isFile) throw new TypeError(`${path} is no regular file`);
  using file = await Deno.open(path);
  const { size } = await file.stat();
  if (size > limit) {
    throw new RangeError(
      `${path} has ${size} bytes; at most ${limit} bytes are read`,
    );
  }
  const bytes = new Uint8Array(size);
  let done = 0;
  while (done < size) {
    const count = await file.read(bytes.subarray(done));
    if (count === null) break;
    done += count;
  }
  if (done < size || await file.read(new Uint8Array(1)) !== null) {
    throw new Deno.errors.Busy(`${path} changed while it was read`);
  }
  return bytes;
}

async function stat(path: string): Promise<Deno.FileInfo> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new Deno.errors.NotFound(`${path} does not exist`);
    }
    throw error;
  }
}
