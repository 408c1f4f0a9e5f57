// The rooms that `build` needs, as one chunk of the bundle.

export { hasErrors, hex, inSourceOrder, positionAt, renderDiagnostic } from "../../base/index.js";
export { compile, imageForms, lowestAddress, renderBytes } from "../../compiler/index.js";
export { renderResolved, resolve } from "../../resolve/index.js";
export { parse, renderTokens, renderTree } from "../../syntax/index.js";
