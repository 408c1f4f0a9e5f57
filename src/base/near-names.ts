// Near names: what somebody probably meant when a name is not known.

/** At most three candidates within a small edit distance of `name`, nearest first, ties in candidate order. */
export function nearNames(name: string, candidates: Iterable<string>): string[] {
  const limit = Math.max(1, Math.floor(name.length / 3));
  const wanted = name.toLowerCase();
  const scored: { name: string; distance: number }[] = [];
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) > limit) continue;
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance <= limit) scored.push({ name: candidate, distance });
  }
  scored.sort((a, b) => a.distance - b.distance);
  // Where only the case of letters is another, nothing else is meant.
  const meant = scored[0]?.distance === 0 ? scored.filter((s) => s.distance === 0) : scored.slice(0, 3);
  return meant.map((s) => s.name);
}

/** `did you mean A, B or C?`, or undefined when nothing is near. */
export function didYouMean(near: readonly string[]): string | undefined {
  if (near.length === 0) return undefined;
  const last = near[near.length - 1] ?? "";
  return near.length === 1 ? `did you mean ${last}?` : `did you mean ${near.slice(0, -1).join(", ")} or ${last}?`;
}

/** Insertions, deletions, substitutions and swaps of neighbours, each at cost 1. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(substitution, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
