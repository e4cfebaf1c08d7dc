// Runs a network over the tiles of a picture. The page ends this worker to cancel.
import type { InferenceSession, Tensor } from "onnxruntime-web";
import { ramp, reflected, tiles, toGrid, weightSums } from "./tiles";
import type { Job, Message } from "./types";

type Ort = { InferenceSession: typeof InferenceSession; Tensor: typeof Tensor; env: { wasm: { numThreads?: number } } };

const WHOLE = 512 * 512; // pixels up to which a picture is restored without tiles
const TILE = 512;

const say = (message: Message, transfer: Transferable[] = []): void => self.postMessage(message, { transfer });

self.onmessage = async ({ data }: MessageEvent<Job>) => {
  try {
    const { run, engine } = await open(data.model);
    say({ kind: "engine", engine });
    const restored = await restore(data, run);
    say({ kind: "done", pixels: restored, engine }, [restored.buffer as ArrayBuffer]);
  } catch (error) {
    say({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
  }
};

type Run = (image: Float32Array, height: number, width: number, channels: number) => Promise<Float32Array>;

async function open(url: string): Promise<{ run: Run; engine: string }> {
  if (typeof WebAssembly === "undefined") throw new Error("no WebAssembly");
  const response = await fetch(url);
  if (!response.ok) throw new Error(`model: ${response.status}`);
  const model = new Uint8Array(await response.arrayBuffer());
  const gpu = (navigator as { gpu?: { requestAdapter(): Promise<unknown> } }).gpu;
  if (gpu && (await gpu.requestAdapter().catch(() => null))) {
    try {
      const ort = (await import("onnxruntime-web/webgpu")) as unknown as Ort;
      return { run: runner(ort, await ort.InferenceSession.create(model, { executionProviders: ["webgpu"] })), engine: "WebGPU" };
    } catch {
      // An adapter without what the network needs: the processor computes.
    }
  }
  const ort = (await import("onnxruntime-web/wasm")) as unknown as Ort;
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, 8) : 1;
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"], enableMemPattern: false });
  return { run: runner(ort, session), engine: `WebAssembly, ${threads} thread${threads > 1 ? "s" : ""}` };
}

function runner(ort: Ort, session: InferenceSession): Run {
  return async (image, height, width, channels) => {
    const input = new ort.Tensor("float32", image, [1, height, width, channels]);
    const { restored } = await session.run({ image: input });
    const values = (await restored.getData()) as Float32Array;
    restored.dispose();
    input.dispose();
    return values;
  };
}

/** Restore all channels of a picture; samples are interleaved red, green, blue and alpha. */
async function restore(job: Job, run: Run): Promise<Uint8ClampedArray | Uint16Array> {
  const { width, height, channels, gray } = job;
  const source = job.pixels;
  const result = source.slice();
  const most = source.BYTES_PER_ELEMENT === 2 ? 65535 : 255;
  const planes: number[][] = channels === 3 ? [[0, 1, 2]] : gray ? [[0]] : [[0], [1], [2]];
  const tiled = width * height > WHOLE;
  const [padHeight, padWidth] = tiled ? [toGrid(height), toGrid(width)] : [height, width];
  const [rows, high] = tiles(padHeight, tiled ? TILE : padHeight);
  const [columns, wide] = tiles(padWidth, tiled ? TILE : padWidth);
  const [weightY, weightX] = [ramp(high), ramp(wide)];
  const [sumY, sumX] = [weightSums(padHeight, rows, weightY), weightSums(padWidth, columns, weightX)];
  const steps = planes.length * rows.length * columns.length;
  let done = 0;
  for (const plane of planes) {
    const depth = plane.length;
    const total = new Float32Array(height * width * depth);
    for (const top of rows) {
      for (const left of columns) {
        const tile = new Float32Array(high * wide * depth);
        for (let y = 0, at = 0; y < high; y++) {
          const row = reflected(top + y, height) * width;
          for (let x = 0; x < wide; x++) {
            const from = (row + reflected(left + x, width)) * 4;
            for (const channel of plane) tile[at++] = source[from + channel] / most;
          }
        }
        const restored = await run(tile, high, wide, depth);
        for (let y = 0; y < Math.min(high, height - top); y++) {
          for (let x = 0; x < Math.min(wide, width - left); x++) {
            const weight = weightY[y] * weightX[x];
            const [from, to] = [(y * wide + x) * depth, ((top + y) * width + left + x) * depth];
            for (let k = 0; k < depth; k++) total[to + k] += weight * restored[from + k];
          }
        }
        say({ kind: "progress", done: ++done, steps });
      }
    }
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const scale = most / (sumY[y] * sumX[x]);
        for (const channel of plane) {
          const value = Math.min(Math.max(Math.round(total[at++] * scale), 0), most);
          const to = (y * width + x) * 4;
          if (gray) result[to] = result[to + 1] = result[to + 2] = value;
          else result[to + channel] = value;
        }
      }
    }
  }
  return result;
}
