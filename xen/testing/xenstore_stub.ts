import { libc, xenstore } from "../ffi.ts";
import { type Libraries, openFirst, sonames } from "../libraries.ts";
import { stubLibrary } from "./stub_library.ts";

const SOURCE = `
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MOST 8192

static struct { char *path; char *value; unsigned length, owner; } nodes[MOST];
static struct { char *path; char *token; } watches[MOST], events[MOST];
static int node_count, watch_count, first_event, event_count;
static int connections, refusal;

int stub_connections(void) { return connections; }
int stub_watches(void) { return watch_count; }
int stub_events(void) { return event_count - first_event; }
/* Error number with which everything fails from now on; 0 for none */
void stub_refuse(int error) { refusal = error; }

static bool is_below(const char *path, const char *folder) {
  size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && path[length] == '/';
}

static void fire(const char *path, const char *token) {
  if (event_count == MOST) abort();
  events[event_count].path = strdup(path);
  events[event_count++].token = strdup(token);
}

static void fire_all(const char *path) {
  for (int i = 0; i < watch_count; i++)
    if (strcmp(path, watches[i].path) == 0 || is_below(path, watches[i].path))
      fire(path, watches[i].token);
}

static int find(const char *path) {
  for (int i = 0; i < node_count; i++)
    if (strcmp(nodes[i].path, path) == 0) return i;
  return -1;
}

void stub_write(const char *path, const char *value, unsigned length) {
  int i = find(path);
  if (i < 0) {
    if (node_count == MOST) abort();
    i = node_count++;
    nodes[i].path = strdup(path);
    nodes[i].owner = 0;
  } else {
    free(nodes[i].value);
  }
  nodes[i].value = malloc(length + 1);
  memcpy(nodes[i].value, value, length);
  nodes[i].length = length;
  fire_all(path);
}

bool xs_write(void *handle, unsigned t, const char *path, const void *data,
              unsigned length) {
  if (refusal) {
    errno = refusal;
    return false;
  }
  stub_write(path, data, length);
  return true;
}

bool xs_set_permissions(void *handle, unsigned t, const char *path,
                        const unsigned *permissions, unsigned count) {
  int i = find(path);
  if (refusal || i < 0 || count != 1 || permissions[1] != 0) {
    errno = refusal ? refusal : i < 0 ? ENOENT : EINVAL;
    return false;
  }
  nodes[i].owner = permissions[0];
  fire_all(path);
  return true;
}

int stub_owner(const char *path) {
  int i = find(path);
  return i < 0 ? -1 : (int)nodes[i].owner;
}

void stub_remove(const char *path) {
  int i = find(path);
  if (i < 0) return;
  free(nodes[i].path);
  free(nodes[i].value);
  nodes[i] = nodes[--node_count];
  fire_all(path);
}

void *xs_open(unsigned long flags) {
  if (refusal) {
    errno = refusal;
    return NULL;
  }
  connections++;
  return &connections;
}

void xs_close(void *handle) { connections--; }
int xs_fileno(void *handle) { return 77; }

void *xs_read(void *handle, unsigned t, const char *path, unsigned *length) {
  int i = find(path);
  if (refusal || i < 0) {
    errno = refusal ? refusal : ENOENT;
    return NULL;
  }
  char *value = malloc(nodes[i].length + 1);
  memcpy(value, nodes[i].value, nodes[i].length);
  value[nodes[i].length] = 0;
  *length = nodes[i].length;
  return value;
}

char **xs_directory(void *handle, unsigned t, const char *path, unsigned *count) {
  size_t bytes = 0;
  bool is_there = find(path) >= 0;
  *count = 0;
  for (int i = 0; i < node_count; i++) {
    if (!is_below(nodes[i].path, path)) continue;
    is_there = true;
    bytes += sizeof(char *) + strlen(nodes[i].path) + 1;
  }
  if (refusal || !is_there) {
    errno = refusal ? refusal : ENOENT;
    return NULL;
  }
  char **entries = malloc(bytes + 1);
  char *text = (char *)entries + bytes;
  for (int i = 0; i < node_count; i++) {
    if (!is_below(nodes[i].path, path)) continue;
    const char *name = nodes[i].path + strlen(path) + 1;
    text -= strlen(name) + 1;
    entries[(*count)++] = strcpy(text, name);
  }
  return entries;
}

bool xs_watch(void *handle, const char *path, const char *token) {
  if (refusal) {
    errno = refusal;
    return false;
  }
  watches[watch_count].path = strdup(path);
  watches[watch_count++].token = strdup(token);
  fire(path, token);
  return true;
}

/* As in the real one, events that have come already stay */
bool xs_unwatch(void *handle, const char *path, const char *token) {
  for (int i = 0; i < watch_count; i++) {
    if (strcmp(watches[i].path, path) || strcmp(watches[i].token, token)) continue;
    free(watches[i].path);
    free(watches[i].token);
    watches[i] = watches[--watch_count];
    return true;
  }
  errno = ENOENT;
  return false;
}

char **xs_check_watch(void *handle) {
  if (first_event == event_count) {
    first_event = event_count = 0;
    errno = EAGAIN;
    return NULL;
  }
  char *path = events[first_event].path;
  char *token = events[first_event++].token;
  char **event = malloc(2 * sizeof(char *) + strlen(path) + strlen(token) + 2);
  event[0] = strcpy((char *)(event + 2), path);
  event[1] = strcpy(event[0] + strlen(path) + 1, token);
  free(path);
  free(token);
  return event;
}
`;

const symbols = {
  ...xenstore,
  stub_connections: { parameters: [], result: "i32" },
  stub_watches: { parameters: [], result: "i32" },
  stub_events: { parameters: [], result: "i32" },
  stub_refuse: { parameters: ["i32"], result: "void" },
  stub_owner: { parameters: ["buffer"], result: "i32" },
  stub_write: { parameters: ["buffer", "buffer", "u32"], result: "void" },
  stub_remove: { parameters: ["buffer"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/**
 * A libxenstore with a xenstored of its own, compiled for the tests: what the
 * guests and the toolstack do there is done with its methods.
 */
export class XenstoreStub implements Disposable {
  /** To be given to what connects to xenstore */
  readonly libraries: Libraries;
  /** Blocks of the library's memory that were given back */
  freed = 0;

  #library: Deno.DynamicLibrary<typeof symbols>;

  /** @param path Library made by `compile` */
  constructor(path: string) {
    this.#library = Deno.dlopen(path, symbols);
    const real = openFirst(sonames.libc, libc);
    this.libraries = {
      store: this.#library as unknown as Libraries["store"],
      libc: {
        ...real,
        symbols: {
          ...real.symbols,
          free: (block: Deno.PointerValue) => {
            this.freed++;
            real.symbols.free(block);
          },
        },
      },
    } as Libraries;
  }

  /** Makes the library; returns the path. */
  static compile(path: string): Promise<string> {
    return stubLibrary(path, SOURCE);
  }

  /** Connections that are open */
  get connections(): number {
    return this.#library.symbols.stub_connections();
  }

  /** Watches that have not ended */
  get watches(): number {
    return this.#library.symbols.stub_watches();
  }

  /** Events that nobody has taken */
  get events(): number {
    return this.#library.symbols.stub_events();
  }

  /** Lets everything fail from now on, or nothing. */
  refuse(errno: number): void {
    this.#library.symbols.stub_refuse(errno);
  }

  /** Writes a node, as who may write it does. */
  write(path: string, value: string | Uint8Array<ArrayBuffer>): void {
    const bytes = typeof value === "string"
      ? new TextEncoder().encode(value)
      : value;
    this.#library.symbols.stub_write(cString(path), bytes, bytes.length);
  }

  /** Which domain can read a node, beside Dom0; -1 if there is none */
  owner(path: string): number {
    return this.#library.symbols.stub_owner(cString(path));
  }

  /** Removes a node. */
  remove(path: string): void {
    this.#library.symbols.stub_remove(cString(path));
  }

  [Symbol.dispose](): void {
    this.#library.close();
  }
}
