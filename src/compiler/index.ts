// compiler: a resolved case becomes a program: bytes at addresses, the state in which they start, and the event plan.

export { checkEncoding, compile, type CompileOptions } from "./compile.js";
export { renderListing, renderMap } from "./listing.js";
export { CYLINDER_BYTES, toDisk } from "./disk.js";
export { toMultiboot } from "./multiboot.js";
export { imageForms, lowestAddress, renderBytes } from "./targets.js";
export type { Encode } from "./encoding.js";
export { assembleListing, type AssembledListing, type AssembledPiece } from "./assemble.js";
