// verdict: decides a run. Events against the plan, transcripts, golden files, failures as people read them.

export * from "./event-text.js";
export * from "./golden.js";
export * from "./judge.js";
export { Places } from "./places.js";
export * from "./report.js";
export * from "./transcript.js";
export * from "./verdict.js";
