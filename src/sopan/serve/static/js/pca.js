/* Principal components, for the few words of one sentence: two of them, by power iteration. */

const ROUNDS = 100;

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** The direction in which the rows vary most, of length 1; it starts from the longest row, so it is always the same. */
function direction(rows) {
  const longest = rows.reduce((best, row) => (dot(row, row) > dot(best, best) ? row : best));
  let axis = longest;
  for (let round = 0; round < ROUNDS; round++) {
    const next = axis.map(() => 0);
    for (const row of rows) {
      const along = dot(row, axis);
      row.forEach((value, i) => (next[i] += along * value));
    }
    const length = Math.sqrt(dot(next, next));
    if (!length) return axis;
    axis = next.map((value) => value / length);
  }
  return axis;
}

/**
 * Bring vectors to two dimensions.
 *
 * Returns x and y, scaled to -1 to 1, and the share of the variance that the two keep.
 */
export function project(vectors) {
  const mean = vectors[0].map((_, i) => vectors.reduce((sum, vector) => sum + vector[i], 0) / vectors.length);
  const centred = vectors.map((vector) => vector.map((value, i) => value - mean[i]));
  const spread = centred.reduce((sum, row) => sum + dot(row, row), 0);
  const places = [];
  let rest = centred;
  for (let axis = 0; axis < 2; axis++) {
    const along = direction(rest);
    const at = rest.map((row) => dot(row, along));
    places.push(at);
    rest = rest.map((row, k) => row.map((value, i) => value - at[k] * along[i]));
  }
  const kept = places.flat().reduce((sum, value) => sum + value * value, 0);
  const scaled = places.map((at) => at.map((value) => value / (Math.max(...at.map(Math.abs)) || 1)));
  return { x: scaled[0], y: scaled[1], share: spread ? kept / spread : 1 };
}
