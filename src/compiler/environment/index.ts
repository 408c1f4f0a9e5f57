// environment: what surrounds a guest's code when it starts - tables, stacks, registers - as bytes and as state.

export { loadedSegment, nullSegment, type Gate } from "./descriptors.js";
export {
  DEFAULT_VECTORS,
  defaultVectors,
  environmentOf,
  type Environment,
  type GuestAddresses,
} from "./environment.js";
export { hasExecuteDisable, modeRows, type ModeRow } from "./modes.js";
export { handlerPoints, setUpGuests, tableSegments, type GuestSetup } from "./setup.js";
