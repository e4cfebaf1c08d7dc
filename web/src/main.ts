import { Plain, blend, read, write } from "./picture";
import type { Damage, Job, Message, Network, Page, Picture, Pixels } from "./types";
import { Viewer } from "./viewer";

const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const [file, drop, damages, samples] = [get<HTMLInputElement>("file"), get("drop"), get("damages"), get("samples")];
const [run, cancel, working, finish] = [get<HTMLButtonElement>("restore"), get("cancel"), get("working"), get("finish")];
const [progress, label] = [get<HTMLProgressElement>("progress"), get("progress-label")];
const [status, problem, strength] = [get("status"), get("error"), get<HTMLInputElement>("strength")];

const viewer = new Viewer();
let page: Page;
let picture: Picture | null = null;
let restored: Pixels | null = null;
let worker: Worker | null = null;

function say(message: string, wrong = false): void {
  status.textContent = wrong ? "" : message;
  problem.textContent = wrong ? message : "";
  problem.hidden = !wrong;
  if (wrong) problem.scrollIntoView({ block: "nearest" });
}

function damage(): Damage {
  const chosen = damages.querySelector<HTMLInputElement>("input:checked");
  return page.damages.find(({ id }) => id === chosen?.value) ?? page.damages[0];
}

/** Sentences for what goes wrong in the worker. */
function plain(reason: string): string {
  if (/memory|allocat|RangeError|array length/i.test(reason)) {
    return "This device has not enough memory for a picture of this size. Close other tabs, or try a smaller picture.";
  }
  if (/no WebAssembly|wasm|WebAssembly/i.test(reason)) {
    return "This browser does not run WebAssembly, which the page needs. Update the browser, or allow WebAssembly in its settings.";
  }
  if (/fetch|model:|network/i.test(reason)) return "The network could not be loaded. Check the connection and try again.";
  return `The picture could not be restored: ${reason}`;
}

async function open(source: Blob, name: string): Promise<void> {
  stop();
  say(`Reading ${name}`);
  try {
    const next = await read(source, name);
    viewer.open(next);
    [picture, restored] = [next, null];
    finish.hidden = true;
    run.disabled = false;
    say("");
  } catch (error) {
    say(error instanceof Plain ? error.message : plain(String(error)), true);
  }
}

function stop(): void {
  worker?.terminate();
  worker = null;
  working.hidden = cancel.hidden = true;
  run.disabled = picture === null;
}

function start(): void {
  if (!picture) return;
  stop();
  const source = picture;
  const choice = damage();
  const network = choice.networks.find(({ channels }) => channels === (source.gray ? 1 : 3)) ?? choice.networks[0];
  say("");
  run.disabled = true;
  working.hidden = cancel.hidden = false;
  progress.removeAttribute("value");
  label.textContent = `Loading the network (${(network.bytes / 1e6).toFixed(1)} MB)`;
  const began = performance.now();
  worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  worker.onerror = (event) => fail(event.message || "the worker did not start");
  worker.onmessage = ({ data }: MessageEvent<Message>) => {
    if (data.kind === "failed") fail(data.reason);
    if (data.kind === "engine") {
      label.textContent = "Restoring";
      get("engine").textContent = `Computed with ${data.engine}.`;
    }
    if (data.kind === "progress") advance(data.done, data.steps, began);
    if (data.kind === "done") finished(network, data, (performance.now() - began) / 1000);
  };
  const gray = source.gray && network.channels === 1;
  const { width, height } = source;
  const model = new URL(`models/${network.file}`, document.baseURI).href;
  const job: Job = { model, width, height, pixels: source.pixels.slice(), gray, channels: network.channels };
  worker.postMessage(job, [job.pixels.buffer as ArrayBuffer]);
}

function advance(done: number, steps: number, began: number): void {
  progress.value = done / steps;
  const left = ((performance.now() - began) / 1000 / done) * (steps - done);
  const time = left > 90 ? `${Math.round(left / 60)} min` : `${Math.ceil(left)} s`;
  label.textContent = steps > 1 ? `Restoring: ${done} of ${steps} tiles, about ${time} left` : "Restoring";
}

function finished(network: Network, data: { pixels: Pixels; engine: string }, seconds: number): void {
  stop();
  restored = data.pixels;
  strength.value = "100";
  blended();
  finish.hidden = false;
  get("about").textContent = `By ${network.name}. ${network.limits}`;
  say(`Restored in ${seconds.toFixed(1)} s. Move the divider to compare.`);
  document.documentElement.dataset.seconds = String(seconds);
}

function fail(reason: string): void {
  stop();
  say(plain(reason), true);
}

function blended(): void {
  if (!picture || !restored) return;
  get("strength-value").textContent = `${strength.value} %`;
  viewer.show(picture, blend(picture.pixels, restored, Number(strength.value) / 100));
}

function download(): void {
  if (!picture || !restored) return;
  const blob = write(picture, blend(picture.pixels, restored, Number(strength.value) / 100));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${picture.name.replace(/\.[^.]*$/, "")}-restored.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function fill(): void {
  for (const { id, title, description } of page.damages) {
    const option = document.createElement("label");
    option.className = "choice";
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "damage", value: id });
    input.checked = id === page.damages[0].id;
    const words = document.createElement("span");
    words.append(Object.assign(document.createElement("strong"), { textContent: title }), ` ${description}`);
    option.append(input, words);
    damages.append(option);
  }
  for (const { file: source, damage: kind, title, terms } of page.samples) {
    const button = Object.assign(document.createElement("button"), { type: "button", title: terms });
    const image = Object.assign(document.createElement("img"), { src: source, alt: "", width: 320, height: 256 });
    button.append(image, title);
    button.addEventListener("click", async () => {
      damages.querySelector<HTMLInputElement>(`input[value=${kind}]`)!.checked = true;
      await open(await (await fetch(source)).blob(), source.split("/").pop()!);
    });
    samples.append(button);
  }
}

file.addEventListener("change", () => {
  const [chosen] = file.files ?? [];
  if (chosen) void open(chosen, chosen.name);
  file.value = "";
});
for (const kind of ["dragover", "dragleave", "drop"] as const) {
  window.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    const dropped = kind === "drop" ? event.dataTransfer?.files[0] : null;
    if (dropped) void open(dropped, dropped.name);
  });
}
run.addEventListener("click", start);
cancel.addEventListener("click", () => {
  stop();
  say("Cancelled.");
  run.focus();
});
strength.addEventListener("input", blended);
get("download").addEventListener("click", download);

fetch("page.json")
  .then((response) => response.json())
  .then((content: Page) => {
    page = content;
    fill();
    if (typeof WebAssembly === "undefined") say(plain("no WebAssembly"), true);
    document.documentElement.dataset.ready = "true";
  })
  .catch(() => say("The page could not load its list of networks. Reload it.", true));
