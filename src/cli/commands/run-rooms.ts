// The rooms that `run` and `check` need, as one chunk of the bundle.

export { applyFixes, hasErrors, renderDiagnostic } from "../../base/index.js";
export {
  checkFile,
  fillHoles,
  renderCase,
  renderCostJson,
  renderCostTable,
  renderComparison,
  renderGithub,
  renderJson,
  renderMutant,
  renderMutantsJson,
  renderMutantTotals,
  renderSarif,
  renderTotals,
  runFiles,
  runMutants,
} from "../../runner/index.js";
