// The rooms that `fmt` needs, as one chunk of the bundle.

export { hasErrors, renderDiagnostic } from "../../base/index.js";
export { formatSource } from "../../editor/index.js";
