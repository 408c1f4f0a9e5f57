// Where each field lies in our VMCS region. The manual leaves the layout to the implementation: ours gives every field
// eight bytes, in runs by width and kind, so that an encoding leads to its place without a search.

/** First slot of the run of each width and kind: index is encoding bits 14:13 times 4 plus bits 11:10. */
export const slotRuns = [0, 8, 8, 24, 32, 72, 80, 96, 104, 128, 136, 160, 168, 184, 192, 216] as const;
/** Number of slots; the runs end here. */
export const slotCount = 232;
/** The slots follow revision identifier, abort indicator and launch state. */
export const slotsOffsetBytes = 16;
/** Offset of the launch state: 0 clear, 1 launched. */
export const launchStateOffsetBytes = 8;

/** Slot of an encoding (bit 0 ignored), or -1 where no field could be. */
export function slotOf(encoding: number): number {
  if ((encoding & ~0x6fff) !== 0) return -1;
  const run = ((encoding >> 13) & 3) * 4 + ((encoding >> 10) & 3);
  const slot = (slotRuns[run] ?? 0) + ((encoding >> 1) & 0x1ff);
  return slot < (slotRuns[run + 1] ?? slotCount) ? slot : -1;
}

/** Byte offset in the VMCS region of the field with that encoding. */
export function slotOffsetBytes(encoding: number): number {
  return slotsOffsetBytes + 8 * slotOf(encoding);
}

/** Words of 32 bits of all slots: the values of every field of a VMCS, in memory order. */
export const imageWords = 2 * slotCount;

/** Fields that are moved together, with the slots where their values stand. */
export interface FieldList {
  readonly encodings: readonly number[];
  readonly slots: readonly number[];
  /** The words of an image that they take: from and to, the latter not included, of each run without gaps. */
  readonly runs: readonly number[];
}

/** A list of fields by their encodings for full access. */
export function fieldList(encodings: readonly number[]): FieldList {
  const slots = encodings.map(slotOf);
  const sorted = [...new Set(slots)].toSorted((a, b) => a - b);
  const starts = sorted.filter((slot, i) => slot - 1 !== sorted[i - 1]);
  const ends = sorted.filter((slot, i) => slot + 1 !== sorted[i + 1]);
  return { encodings, slots, runs: starts.flatMap((start, i) => [2 * start, 2 * (ends[i] ?? start) + 2]) };
}
