// Drives the built page in Chromium: node test/page.mjs URL CHROMIUM FOLDER
// Prints one JSON object of what it found; pytest (tests/test_web.py) judges it. FOLDER holds large.png, text.txt and
// deep.png, and receives downloads and screenshots.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, executablePath, folder] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const found = {};
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--js-flags=--max-old-space-size=4096"] });

async function open(options = {}) {
  const context = await browser.newContext({ acceptDownloads: true, viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && page.problems.push(message.text()));
  await page.goto(url);
  await page.waitForSelector("html[data-ready]");
  return page;
}

async function restored(page, timeout = 240_000) {
  await page.click("#restore");
  await page.waitForSelector("#finish:not([hidden]), #error:not([hidden])", { timeout });
  const error = await page.textContent("#error");
  if (error) throw new Error(error);
}

async function download(page, name) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
  await file.saveAs(join(folder, name));
}

const violations = async (page) => {
  await page.evaluate(axe);
  const result = await page.evaluate(() => window.axe.run());
  return result.violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((n) => n.target).join(", ")}`);
};

const shot = (page, name) => page.screenshot({ path: join(folder, `${name}.png`) });

async function drop(page, name, type) {
  const content = (await readFile(join(folder, name))).toString("base64");
  await page.evaluate(
    ([content, name, type]) => {
      const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], name, { type }));
      window.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    },
    [content, name, type],
  );
}

// A sample from first visit to download, divider and strength.
let page = await open();
let bytes = 0;
page.on("response", async (response) => (bytes += (await response.body().catch(() => "")).length));
await page.reload();
await page.waitForSelector("html[data-ready]");
found.isolated = await page.evaluate(() => crossOriginIsolated);
found.axeStart = await violations(page);
await shot(page, "start");
await page.click("#samples button:first-child");
await page.waitForSelector("#restore:enabled");
await restored(page);
found.engine = await page.textContent("#engine");
found.seconds = Number(await page.evaluate(() => document.documentElement.dataset.seconds));
found.bytes = bytes;
await download(page, "noise-restored.png");
const divider = () => page.evaluate(() => document.getElementById("after").style.clipPath);
const box = await page.locator("#stage").boundingBox();
await page.mouse.move(box.x + box.width / 2, box.y + 40);
await page.mouse.down();
await page.mouse.move(box.x + box.width / 4, box.y + 40, { steps: 4 });
await page.mouse.up();
found.byMouse = await divider();
await page.focus("#split");
await page.keyboard.press("ArrowRight");
found.byKey = await divider();
await page.keyboard.press("Home");
found.byHome = await divider();
await page.fill("#split", "50");
found.axeResult = await violations(page);
await shot(page, "desktop");
await page.fill("#strength", "0");
await download(page, "noise-untouched.png");
await page.selectOption("#zoom", "2");
found.zoomed = await page.evaluate(() => document.getElementById("stage").style.width);
await shot(page, "zoom");
found.problems = page.problems;
await page.context().close();

// A phone, dark, by keyboard alone.
page = await open({ viewport: { width: 320, height: 640 }, colorScheme: "dark", deviceScaleFactor: 2, hasTouch: true });
for (let i = 0; i < 3; i++) await page.keyboard.press("Tab"); // the file, then two samples
await page.keyboard.press("Enter");
await page.waitForSelector("#restore:enabled");
await page.focus("#restore");
await page.keyboard.press("Enter");
await page.waitForSelector("#finish:not([hidden])", { timeout: 240_000 });
found.overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
found.axePhone = await violations(page);
await page.screenshot({ path: join(folder, "phone-dark.png"), fullPage: true });
await page.context().close();

// What is no picture, and HEIC.
page = await open();
await drop(page, "text.txt", "text/plain");
await page.waitForSelector("#error:not([hidden])");
found.text = await page.textContent("#error");
found.axeError = await violations(page);
await shot(page, "error");
await drop(page, "phone.heic", "image/heic");
await page.waitForFunction(() => document.getElementById("error").textContent.includes("HEIC"));
found.heic = await page.textContent("#error");

// 16 bits stay.
await page.setInputFiles("#file", join(folder, "deep.png"));
await page.waitForSelector("#restore:enabled");
await page.check("input[value=noise]");
await restored(page);
await download(page, "deep-restored.png");

// 12 megapixels: the first tiles, then cancelled.
await page.setInputFiles("#file", join(folder, "large.png"));
await page.waitForFunction(() => document.getElementById("caption").textContent.includes("4000 x 3000"));
await page.check("input[value=blur]");
if (process.env.WHOLE) {
  await page.check("input[value=noise]");
  await restored(page, 3_600_000);
  found.largeSeconds = Number(await page.evaluate(() => document.documentElement.dataset.seconds));
  await download(page, "large-restored.png");
} else {
  await page.check("input[value=any]");
  await page.click("#restore");
  await page.waitForFunction(() => /[1-9]\d* of \d+ tiles/.test(document.getElementById("progress-label").textContent), null, { timeout: 240_000 });
  found.large = await page.textContent("#progress-label");
  await page.click("#cancel");
  found.cancelled = await page.textContent("#status");
}
await page.context().close();

// No WebAssembly.
const context = await browser.newContext();
await context.addInitScript(() => delete globalThis.WebAssembly);
page = await context.newPage();
await page.goto(url);
await page.waitForSelector("#error:not([hidden])");
found.noWasm = await page.textContent("#error");
await browser.close();
console.log(JSON.stringify(found));
