// The platforms that tests can name, the groups that `on` knows, and how a user's platform is derived.

import { featureNames, type CpuFeature } from "../features.js";
import type { Firmware, Generation, Platform } from "../platform.js";
import { amdSources } from "./amd.js";
import { intelSources } from "./intel.js";
import { buildModel, type ModelSource } from "./build.js";
import { withFirmware } from "./msrs.js";

/** Memory of a platform that does not say otherwise. */
export const defaultMemoryBytes = 128 * 1024 * 1024;

/** Generations in the order in which `on all` runs them; each is a group of `on`, and so is `all`. */
export const generations: readonly Generation[] = ["unassisted", "vtx1", "vtx2", "svm1", "svm2"];

/** What a `platform NAME from BASE { … }` declaration may change. */
export interface PlatformChanges {
  readonly name: string;
  readonly firmware?: Firmware;
  readonly memoryBytes?: number;
  /** Features by name; adding one that this machine does not execute has no effect. */
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
}

const sources: ReadonlyMap<string, ModelSource> = new Map(
  [...intelSources, ...amdSources].map((source) => [source.name, source]),
);

/** Names of all platforms, oldest generation first, Intel before AMD within each. */
export const platformNames: readonly string[] = generations.flatMap((generation) =>
  [...sources.values()].filter((source) => source.generation === generation).map((source) => source.name),
);

/** Names of groups, `all` last. */
export const groupNames: readonly string[] = [...generations, "all"];

const made = new Map<string, Platform>();

/** The platform of a name, or undefined. Models are made when they are first asked for. */
export function findPlatform(name: string): Platform | undefined {
  const known = made.get(name);
  if (known) return known;
  const source = sources.get(name);
  if (!source) return undefined;
  const platform = makePlatform(source, { name });
  made.set(name, platform);
  return platform;
}

/** Names of a group's platforms, in the order of `platformNames`; undefined where there is no such group. */
export function groupMembers(group: string): readonly string[] | undefined {
  if (group === "all") return platformNames;
  if (!generations.some((generation) => generation === group)) return undefined;
  return platformNames.filter((name) => sources.get(name)?.generation === group);
}

/** A platform that differs from `base` in what `changes` says; a derived platform can itself be a base. */
export function derivePlatform(base: Platform, changes: PlatformChanges): Platform {
  const source = sources.get(base.cpu.name);
  if (!source) throw new Error(`internal error: no CPU model is called ${base.cpu.name}`);
  const inherited = [...base.cpu.features, ...base.cpu.knownFeatures];
  const features = new Set<CpuFeature>(featureNames.filter((name) => inherited.includes(name)));
  for (const name of featureNames) {
    if (changes.add?.includes(name)) features.add(name);
    if (changes.remove?.includes(name)) features.delete(name);
  }
  return makePlatform(
    { ...source, features: [...features] },
    {
      name: changes.name,
      firmware: { ...base.firmware, ...changes.firmware },
      memoryBytes: changes.memoryBytes ?? base.memoryBytes,
    },
  );
}

function makePlatform(source: ModelSource, changes: PlatformChanges): Platform {
  const model = buildModel(source);
  const firmware: Firmware = {
    ...(model.features.includes("VMX") && { vmx: changes.firmware?.vmx ?? "enabled" }),
    ...(model.features.includes("SVM") && { svm: changes.firmware?.svm ?? "enabled" }),
  };
  return {
    name: changes.name,
    cpu: { ...model, msrs: withFirmware(model.msrs, firmware) },
    firmware,
    memoryBytes: changes.memoryBytes ?? defaultMemoryBytes,
  };
}
