// The rooms that `run` and `check` need, as one chunk of the bundle.

export { applyFixes, hasErrors, renderDiagnostic } from "../../base/index.js";
export {
  checkFile,
  renderCase,
  renderCostJson,
  renderCostTable,
  renderGithub,
  renderJson,
  renderSarif,
  renderTotals,
  runFiles,
} from "../../runner/index.js";
