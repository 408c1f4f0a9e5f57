// program: what the compiler hands to the machine side, and what comes back. Types only.

export * from "./image.js";
export * from "./plan.js";
export * from "./event.js";
