// Where a length rule does not hold, and why.

/** Tables may be as long as what they list. */
export const longFiles: readonly RegExp[] = [/^src\/isa\//, /^src\/vmm\/faults\/catalogue\.ts$/];

/** Functions that are one dispatch over a closed set: `path:name`, with the reason. */
export const longFunctions: ReadonlyMap<string, string> = new Map([
  ["src/core/execute.ts:execute", "one case for each hot operation"],
  ["src/core/execute-other.ts:executeNumbered", "one case for each other operation"],
  ["src/core/execute-other.ts:executeSystem", "one case for each system operation"],
  ["src/core/decode.ts:decodeBody", "one case for each kind of operand"],
  ["src/core/exceptions.ts:throughGate", "the manual's steps through a gate, in its order"],
]);
