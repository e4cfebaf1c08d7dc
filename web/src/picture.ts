// Reading and writing of picture files.
import { decode, encode } from "fast-png";
import type { Picture, Pixels } from "./types";

const MOST_PIXELS = 100e6;
const PNG = [137, 80, 78, 71, 13, 10, 26, 10];
const KEPT = ["cICP", "iCCP", "sRGB", "gAMA", "cHRM", "pHYs"];

/** An error whose message a person can act on. */
export class Plain extends Error {}

const text = (bytes: Uint8Array, from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to));

/** Read a file. 16-bit PNG keeps its depth; all else is read by the browser, 8 bits deep and in sRGB. */
export async function read(file: Blob, name: string): Promise<Picture> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes.length === 0) throw new Plain(`${name} is empty.`);
  const isPng = PNG.every((byte, i) => bytes[i] === byte);
  if (isPng && bytes[24] === 16) return fromDeepPng(bytes, name);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Plain(refusal(bytes, name));
  }
  const { width, height } = bitmap;
  check(width, height, name);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Plain(`There is not enough memory for ${width} x ${height} pixels.`);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height).data;
  return { name, width, height, pixels, gray: isGray(pixels), chunks: [] };
}

function refusal(bytes: Uint8Array, name: string): string {
  if (text(bytes, 4, 8) === "ftyp" && /^(heic|heix|hevc|mif1|msf1)/.test(text(bytes, 8, 12))) {
    return `${name} is a HEIC picture, which this browser cannot read. Save it as JPEG or PNG first; on an iPhone, choose Settings, Camera, Formats, Most Compatible.`;
  }
  if (/^(II\*\0|MM\0\*)/.test(text(bytes, 0, 4))) {
    return `${name} is a TIFF or camera raw file, which browsers cannot read. Save it as a 16-bit PNG first.`;
  }
  return `${name} is not a picture that this browser can read. JPEG, PNG, WebP and AVIF work.`;
}

function check(width: number, height: number, name: string): void {
  if (width * height > MOST_PIXELS) {
    throw new Plain(`${name} has ${Math.round((width * height) / 1e6)} megapixels; this page takes at most 100.`);
  }
}

function fromDeepPng(bytes: Uint8Array, name: string): Picture {
  let png;
  try {
    png = decode(bytes);
  } catch {
    throw new Plain(`${name} is a damaged PNG file.`);
  }
  const { width, height, channels } = png;
  check(width, height, name);
  const pixels = new Uint16Array(width * height * 4);
  for (let i = 0; i < width * height; i++) {
    for (let k = 0; k < 3; k++) pixels[4 * i + k] = png.data[i * channels + (channels < 3 ? 0 : k)];
    pixels[4 * i + 3] = channels % 2 ? 65535 : png.data[i * channels + channels - 1];
  }
  return { name, width, height, pixels, gray: isGray(pixels), chunks: keptChunks(bytes) };
}

function isGray(pixels: Pixels): boolean {
  for (let i = 0; i < pixels.length; i += 4) {
    if (pixels[i] !== pixels[i + 1] || pixels[i] !== pixels[i + 2]) return false;
  }
  return true;
}

function keptChunks(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const chunks: Uint8Array[] = [];
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (KEPT.includes(text(bytes, at + 4, at + 8))) chunks.push(bytes.slice(at, at + 12 + view.getUint32(at)));
  }
  return chunks;
}

/** Blend restored samples with those of the picture; 1 is the full effect. */
export function blend(before: Pixels, after: Pixels, strength: number): Pixels {
  if (strength === 1) return after;
  const mixed = before.slice() as Pixels;
  for (let i = 0; i < mixed.length; i++) mixed[i] = Math.round(before[i] + strength * (after[i] - before[i]));
  return mixed;
}

/** Write a PNG as deep as the samples; gray and opaque pictures get one and no alpha channel. */
export function write(picture: Picture, pixels: Pixels): Blob {
  const { width, height, gray, chunks } = picture;
  const depth = pixels.BYTES_PER_ELEMENT === 2 ? 16 : 8;
  const opaque = depth === 16 ? 65535 : 255;
  let alpha = false;
  for (let i = 3; i < pixels.length && !alpha; i += 4) alpha = pixels[i] !== opaque;
  const channels = (gray ? 1 : 3) + (alpha ? 1 : 0);
  const data = depth === 16 ? new Uint16Array(width * height * channels) : new Uint8Array(width * height * channels);
  for (let i = 0, at = 0; i < pixels.length; i += 4) {
    data[at++] = pixels[i];
    if (!gray) {
      data[at++] = pixels[i + 1];
      data[at++] = pixels[i + 2];
    }
    if (alpha) data[at++] = pixels[i + 3];
  }
  const png = encode({ width, height, data, channels: channels as 1 | 2 | 3 | 4, depth });
  const header = 8 + 25; // the signature and the first chunk, IHDR
  return new Blob([png.subarray(0, header), ...chunks, png.subarray(header)] as BlobPart[], { type: "image/png" });
}

/** Samples of a canvas: 8 bits deep. */
export function shown(pixels: Pixels): Uint8ClampedArray<ArrayBuffer> {
  if (pixels instanceof Uint8ClampedArray) return pixels as Uint8ClampedArray<ArrayBuffer>;
  return Uint8ClampedArray.from(pixels, (value) => value / 257);
}
