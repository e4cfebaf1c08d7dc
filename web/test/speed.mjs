// Times one picture in the built page: node test/speed.mjs URL CHROMIUM PICTURE [DAMAGE]
// Prints seconds, megapixels, the peak memory of all processes of the browser, and what was loaded until the result.
import { readFileSync, readdirSync } from "node:fs";
import { chromium } from "playwright-core";

const [url, executablePath, picture, damage = "noise"] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage();
let bytes = 0;
page.on("response", async (response) => (bytes += (await response.body().catch(() => "")).length));
await page.goto(url);
await page.waitForSelector("html[data-ready]");
const start = peak();
await page.setInputFiles("#file", picture);
await page.waitForSelector("#restore:enabled");
await page.check(`input[value=${damage}]`);
await page.click("#restore");
await page.waitForSelector("#finish:not([hidden]), #error:not([hidden])", { timeout: 3_600_000 });
const [error, engine, caption] = await Promise.all(["#error", "#engine", "#caption"].map((id) => page.textContent(id)));
if (error) throw new Error(error);
const seconds = Number(await page.evaluate(() => document.documentElement.dataset.seconds));
const [width, height] = caption.match(/(\d+) x (\d+) pixels/).slice(1).map(Number);
const megapixels = (width * height) / 1e6;
console.log(
  JSON.stringify({ seconds, megapixels, perMegapixel: seconds / megapixels, startMiB: start, peakMiB: peak(), bytes, engine }),
);
await browser.close();

/** Sum of the largest resident memory of this browser's processes, in MiB. */
function peak() {
  const parents = new Map();
  for (const id of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${id}/status`, "utf8");
      parents.set(Number(id), [Number(/PPid:\s*(\d+)/.exec(status)[1]), Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? 0)]);
    } catch {
      // A process that has ended.
    }
  }
  const ours = (id) => id === process.pid || (parents.has(id) && parents.get(id)[0] > 1 && ours(parents.get(id)[0]));
  let total = 0;
  for (const [id, [, kib]] of parents) if (id !== process.pid && ours(id)) total += kib / 1024;
  return Math.round(total);
}
