import type { Module } from "./modules.ts";

/** What a room may take from another one. */
type Permission = "anything" | "types" | readonly string[];

/**
 * The rooms of the program, and what each may take from the others. What is
 * not named may not be taken; main.ts and the files beside it wire all.
 */
const ROOMS: Readonly<Record<string, Readonly<Record<string, Permission>>>> = {
  guestos: {},
  // Types, and the error that says why guest memory could not be read
  xen: { guestos: ["UnreadableMemoryError"] },
  detect: { guestos: "anything", xen: "types" },
  cli: { guestos: "anything", xen: "anything", detect: "anything" },
};

const FOREIGN =
  /\bDeno\.(?:dlopen|DynamicLibrary|Unsafe(?:Pointer\w*|Callback|FnPointer))\b/;

function roomOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
}

/** Whether a module is a test or there for tests only. */
export function isForTests(path: string): boolean {
  return path.startsWith("tests/") || path.includes("/testing/") ||
    path.endsWith("_test.ts");
}

function allowed(
  permission: Permission | undefined,
  values: readonly string[],
): boolean {
  if (permission === undefined) return false;
  if (permission === "anything") return true;
  const named = permission === "types" ? [] : permission;
  return values.every((value) => named.includes(value));
}

/** Every import of the program that leads from a room into a wrong one. */
export function wrongImports(modules: readonly Module[]): string[] {
  return modules.filter(({ path }) => !isForTests(path)).flatMap((module) => {
    const room = roomOf(module.path);
    return module.imports.filter(({ path, values }) => {
      if (isForTests(path)) return true;
      const target = roomOf(path);
      if (target === room || target === "" || target === "types") return false;
      if (target === "cli") return module.path !== "main.ts";
      if (room === "") return true;
      return !allowed(ROOMS[room]?.[target], values);
    }).map(({ path, values }) =>
      `${module.path} takes ${values.join(", ") || "types"} from ${path}`
    );
  });
}

/** Every module of the program outside `xen/` that touches foreign memory. */
export function foreignAccess(modules: readonly Module[]): string[] {
  return modules.filter(({ path, source }) =>
    !isForTests(path) && roomOf(path) !== "xen" && FOREIGN.test(source)
  ).map(({ path }) => path);
}

/** Import cycles, each told once. */
export function importCycles(modules: readonly Module[]): string[] {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]) => {
    if (trail.includes(path)) {
      cycles.push([...trail.slice(trail.indexOf(path)), path].join(" -> "));
      return;
    }
    if (done.has(path)) return;
    for (const next of byPath.get(path)?.imports ?? []) {
      visit(next.path, [...trail, path]);
    }
    done.add(path);
  };
  for (const { path } of modules) visit(path, []);
  return cycles;
}

/** Every module to which nothing leads from the roots. */
export function orphans(
  modules: readonly Module[],
  roots: readonly string[],
): string[] {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const reached = new Set<string>();
  const open = [...roots];
  for (let path; (path = open.pop()) !== undefined;) {
    if (reached.has(path)) continue;
    reached.add(path);
    const module = byPath.get(path);
    open.push(...module?.imports.map(({ path }) => path) ?? []);
    open.push(...module?.files ?? []);
  }
  return modules.map(({ path }) => path).filter((path) => !reached.has(path));
}
