// CPU models and platforms: which exist, what their CPUID answers, how a user's platform is derived.

export { cr0Allowed, cr4Allowed } from "./control-registers.js";
export { cpuid } from "./cpuid.js";
export { notExecuted } from "./not-executed.js";
export {
  defaultMemoryBytes,
  derivePlatform,
  findPlatform,
  generations,
  groupMembers,
  groupNames,
  platformNames,
  type PlatformChanges,
} from "./platforms.js";
