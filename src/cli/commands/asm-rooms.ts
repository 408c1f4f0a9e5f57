// The rooms that `asm` and `disasm` need, as one chunk of the bundle.

export { hasErrors, hexBytes, inSourceOrder, lineText, positionAt, renderDiagnostic } from "../../base/index.js";
export { disassemble } from "../../codec/index.js";
export { assembleListing } from "../../compiler/index.js";
export { resolveListing } from "../../resolve/index.js";
export { parse } from "../../syntax/index.js";
