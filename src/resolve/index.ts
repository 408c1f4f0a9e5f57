// resolve: the tree's names get their meaning; every cell of a test's matrix becomes a case.

export * from "./resolved.js";
export { resolve, type ResolveOptions } from "./resolve.js";
export { renderCase, renderResolved } from "./render.js";
export { resolveListing, type Listing, type ListingPlace } from "./listing.js";
export type { ModuleSources } from "./modules.js";
export { guestModes, type ModeInfo } from "./modes.js";
export { libraryConstantNames, libraryConstant } from "./constants.js";
