// Broken invariants are our mistakes and always throw; mistakes of users never do.

/** Throws when an invariant of our own does not hold. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new Error(`internal error: ${invariant}`);
}

/** Closes a switch over a closed union. */
export function assertNever(value: never): never {
  throw new Error(`internal error: unexpected ${JSON.stringify(value)}`);
}
