// A machine by name: what a program asks for that only wants "a Haswell with 64 MiB".

import { didYouMean, nearNames } from "../base/index.js";
import { derivePlatform, findPlatform, platformNames, type Platform } from "../isa/index.js";
import { loadCore } from "./core-module.js";
import { Machine } from "./machine.js";

export interface CreateOptions {
  /** Bytes of memory: whole MiB, from 1 MiB to 3 GiB. The platform's own (128 MiB) when absent. */
  readonly memoryBytes?: number;
}

const mebibyte = 2 ** 20;

/**
 * A machine of a platform (`haswell`, `zen`, …, or one of your own), as after power-on. Throws a RangeError for a name
 * that does not exist and for memory that cannot be. The first call of a process compiles the core, a few milliseconds.
 */
export function createMachine(platform: string | Platform, options: CreateOptions = {}): Machine {
  const base = typeof platform === "string" ? named(platform) : platform;
  const { memoryBytes = base.memoryBytes } = options;
  if (memoryBytes % mebibyte !== 0 || memoryBytes < mebibyte || memoryBytes > 3072 * mebibyte) {
    throw new RangeError(`a machine has whole mebibytes of memory, from 1 to 3072, not ${memoryBytes} bytes`);
  }
  const own = memoryBytes === base.memoryBytes;
  return new Machine(loadCore(), { platform: own ? base : derivePlatform(base, { name: base.name, memoryBytes }) });
}

function named(name: string): Platform {
  const found = findPlatform(name);
  if (found !== undefined) return found;
  const near = didYouMean(nearNames(name, platformNames));
  throw new RangeError(`no platform ${name}; ${near ?? `there are ${platformNames.join(", ")}`}`);
}
