// Where a length rule does not hold, and why.

/** Tables may be as long as what they list. */
export const longFiles: readonly RegExp[] = [/^src\/isa\//];

/** Functions that are one dispatch over a closed set: `path:name`, with the reason. */
export const longFunctions: ReadonlyMap<string, string> = new Map();
