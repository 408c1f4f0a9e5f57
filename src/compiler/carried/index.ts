// carried: an image that brings its own handlers, probes and report, for machines that are not ours.

export {
  bootAddress,
  carriedGdt,
  carriedProblems,
  carriedRefusals,
  carrierOf,
  scaffoldSegment,
  stubEntries,
  unseenProblems,
} from "./carry.js";
export { carrySections, hypercallSections, pointVector } from "./lower.js";
export { handlerGates, handlerSegment, hostSetup, hostTables, monitorCarrier } from "./monitor.js";
export { raiseLowSegments } from "./low-memory.js";
