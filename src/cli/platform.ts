// Platforms by name, for commands that take one.

import type { Platform } from "../isa/index.js";
import { UsageError } from "./exit-status.js";

/** The platform of a name, or an error that says which are near. */
export async function platformNamed(name: string): Promise<Platform> {
  const { findPlatform, platformNames } = await import("../isa/index.js");
  const platform = findPlatform(name);
  if (platform) return platform;
  const { didYouMean, nearNames } = await import("../base/index.js");
  const help = didYouMean(nearNames(name, platformNames)) ?? `there are ${platformNames.join(", ")}`;
  throw new UsageError(`no platform is called ${name}: ${help}`);
}
