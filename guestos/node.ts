/**
 * Modules of Node.js that the runtime has, loaded when they are needed: that
 * takes as long as all else that most commands do.
 */
export const node = {
  get crypto() {
    return process.getBuiltinModule("node:crypto");
  },
  get fs() {
    return process.getBuiltinModule("node:fs");
  },
  get path() {
    return process.getBuiltinModule("node:path");
  },
  get zlib() {
    return process.getBuiltinModule("node:zlib");
  },
};
