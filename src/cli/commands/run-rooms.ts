// The rooms that `run` and `check` need, as one chunk of the bundle.

export { hasErrors, renderDiagnostic } from "../../base/index.js";
export { checkFile, renderCase, renderTotals, runFiles } from "../../runner/index.js";
