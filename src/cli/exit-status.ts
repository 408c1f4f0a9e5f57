// Exit statuses of the program, and the error that a wrong argument is.

/** What the process returns; `boot` has more (boot-status.ts). */
export const exitStatus = { success: 0, testFailed: 1, usage: 2, internal: 70 } as const;

/** A wrong argument, path or name: shown as one message, without a stack trace; exit status 2. */
export class UsageError extends Error {}
