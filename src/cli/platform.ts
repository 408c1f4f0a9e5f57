// Platforms by name, for commands that take one.

import type { Platform, Variation } from "../isa/index.js";
import type { FileRequest } from "../runner/index.js";
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

/**
 * Refuses names of `--platform` that are no platform, no group and declared in none of the files. Declarations are
 * looked for by their words: whether they are right is the resolver's to say.
 */
export async function checkPlatformNames(names: readonly string[], files: readonly FileRequest[]): Promise<void> {
  if (names.length === 0) return;
  const { findPlatform, groupNames, platformNames } = await import("../isa/index.js");
  const declared = files.flatMap(({ source }) =>
    [...source.text.matchAll(/^\s*platform\s+(\w+)/gm)].map((match) => match[1] ?? ""),
  );
  const known = [...platformNames, ...groupNames, ...declared];
  const unknown = names.find((name) => !known.includes(name) && !findPlatform(name));
  if (unknown === undefined) return;
  const { didYouMean, nearNames } = await import("../base/index.js");
  const help = didYouMean(nearNames(unknown, known)) ?? `there are ${known.join(", ")}`;
  throw new UsageError(`no platform or group is called ${unknown}: ${help}`);
}

/** What `--vary KNOB=CHOICE` asked for. */
export async function variationOf(texts: readonly string[] | undefined): Promise<Variation | undefined> {
  if (texts === undefined) return undefined;
  const { readVariation } = await import("../isa/index.js");
  let variation: Variation = {};
  for (const text of texts) {
    const read = readVariation(text);
    if (typeof read === "string") throw new UsageError(`--vary ${read}`);
    variation = { ...variation, ...read };
  }
  return variation;
}
