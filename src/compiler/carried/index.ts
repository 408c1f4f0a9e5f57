// carried: an image that brings its own handlers, probes and report, for machines that are not ours.

export {
  bootAddress,
  carriedGdt,
  carriedProblems,
  carriedRefusal,
  carrierOf,
  scaffoldSegment,
  stubEntries,
} from "./carry.js";
export { carrySections, pointVector } from "./lower.js";
