// Overlapping tiles with the places and blending weights of restorax.inference, so that results agree.

export const OVERLAP = 64;
const GRID = 16; // tiles start at multiples of this, to align with the coarse grid of the network

/** Starts and side of evenly spaced tiles that cover a length. */
export function tiles(length: number, side: number): [number[], number] {
  side = Math.min(side + ((GRID - (side % GRID)) % GRID), length);
  const count = side < length ? Math.ceil((length - OVERLAP) / (side - OVERLAP)) : 1;
  const starts = Array.from({ length: count }, (_, i) => roundEven((i * (length - side)) / Math.max(count - 1, 1) / GRID) * GRID);
  return [starts, side];
}

/** Blending weights along one axis, which taper over the overlap at both ends. */
export function ramp(side: number): Float32Array {
  return Float32Array.from({ length: side }, (_, i) => {
    const distance = Math.min(i, side - 1 - i) + 0.5;
    return Math.sin((Math.PI / 2) * Math.min(distance / OVERLAP, 1)) ** 2 + 1e-4;
  });
}

/** Sums of the weights of all tiles along one axis. */
export function weightSums(length: number, starts: number[], weights: Float32Array): Float32Array {
  const sums = new Float32Array(length);
  for (const start of starts) weights.forEach((weight, i) => (sums[start + i] += weight));
  return sums;
}

/** Length rounded up to the grid. */
export const toGrid = (length: number): number => Math.ceil(length / GRID) * GRID;

/** Index that reflection at the last element gives beyond a length. */
export function reflected(index: number, length: number): number {
  if (length === 1) return 0;
  const position = index % (2 * length - 2);
  return position < length ? position : 2 * length - 2 - position;
}

function roundEven(x: number): number {
  const below = Math.floor(x);
  return x - below === 0.5 ? below + (below % 2) : Math.round(x);
}
