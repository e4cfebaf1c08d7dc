/** Samples of a picture, interleaved red, green, blue and alpha; 16-bit pictures keep their depth. */
export type Pixels = Uint8ClampedArray | Uint16Array;

export interface Picture {
  name: string;
  width: number;
  height: number;
  pixels: Pixels;
  gray: boolean;
  /** Chunks of a PNG that say what its values mean, kept as they are. */
  chunks: Uint8Array[];
}

export interface Network {
  name: string;
  file: string;
  bytes: number;
  channels: number;
  limits: string;
  degradation: string;
}

export interface Damage {
  id: string;
  title: string;
  description: string;
  networks: Network[];
}

export interface Page {
  damages: Damage[];
  samples: { file: string; damage: string; title: string; terms: string }[];
}

export interface Job {
  model: string;
  width: number;
  height: number;
  pixels: Pixels;
  gray: boolean;
  channels: number;
}

export type Message =
  | { kind: "engine"; engine: string }
  | { kind: "progress"; done: number; steps: number }
  | { kind: "done"; pixels: Pixels; engine: string }
  | { kind: "failed"; reason: string };
