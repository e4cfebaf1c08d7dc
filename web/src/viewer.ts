// Before and after on two canvases with a divider, and zoom.
import { shown } from "./picture";
import type { Picture, Pixels } from "./types";

const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

export class Viewer {
  private view = get<HTMLElement>("view");
  private scroll = get<HTMLElement>("scroll");
  private stage = get<HTMLElement>("stage");
  private before = get<HTMLCanvasElement>("before");
  private after = get<HTMLCanvasElement>("after");
  private line = get<HTMLElement>("line");
  private compare = get<HTMLElement>("compare");
  private split = get<HTMLInputElement>("split");
  private zoom = get<HTMLSelectElement>("zoom");

  constructor() {
    this.split.addEventListener("input", () => this.divide());
    this.zoom.addEventListener("change", () => this.resize());
    // A mouse or a finger moves the divider anywhere on the picture; a finger that moves up or down scrolls.
    const follow = (event: PointerEvent): void => {
      const box = this.stage.getBoundingClientRect();
      this.split.value = String(Math.round((100 * (event.clientX - box.left)) / box.width));
      this.divide();
    };
    this.stage.addEventListener("pointerdown", (event) => {
      if (this.after.hidden || event.button !== 0) return;
      this.stage.setPointerCapture(event.pointerId);
      follow(event);
    });
    this.stage.addEventListener("pointermove", (event) => {
      if (this.stage.hasPointerCapture(event.pointerId)) follow(event);
    });
  }

  open(picture: Picture): void {
    this.view.hidden = false;
    get("empty").hidden = true;
    this.draw(this.before, picture, picture.pixels);
    this.clear();
    this.zoom.value = "fit";
    this.resize();
    get("caption").textContent =
      `${picture.name}, ${picture.width} x ${picture.height} pixels, ${8 * picture.pixels.BYTES_PER_ELEMENT} bit`;
  }

  /** Show the restored picture beside the divider. */
  show(picture: Picture, pixels: Pixels): void {
    this.draw(this.after, picture, pixels);
    for (const part of [this.after, this.line, this.compare]) part.hidden = false;
    this.divide();
  }

  clear(): void {
    for (const part of [this.after, this.line, this.compare]) part.hidden = true;
    this.split.value = "50";
  }

  private draw(canvas: HTMLCanvasElement, { width, height }: Picture, pixels: Pixels): void {
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d")!.putImageData(new ImageData(shown(pixels), width, height), 0, 0);
  }

  private divide(): void {
    const share = Number(this.split.value);
    this.after.style.clipPath = `inset(0 0 0 ${share}%)`;
    this.line.style.left = `${share}%`;
    this.split.setAttribute("aria-valuetext", `before on the left ${share} %, after on the right ${100 - share} %`);
  }

  private resize(): void {
    const fit = this.zoom.value === "fit";
    this.scroll.classList.toggle("zoomed", !fit);
    this.stage.style.width = fit ? "" : `${(this.before.width * Number(this.zoom.value)) / devicePixelRatio}px`;
    this.stage.style.setProperty("--ratio", String(this.before.width / this.before.height));
    this.stage.classList.toggle("pixels", !fit && Number(this.zoom.value) > 1);
  }
}
