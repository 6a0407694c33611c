// Drives a contest in Chromium, from its making to the board: node browser.mjs URL PASSWORD CSV ZIP SUBMISSION OUT
// Prints one JSON object. Needs playwright-core (NODE_PATH) and a chromium; scripts of the page run, CSP reports are collected.
import { createRequire } from "module";
const { chromium } = createRequire(process.env.PLAYWRIGHT_CORE + "/")("playwright-core");
const [url, password, csv, zip, submission, out] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
const faults = [];

async function person() {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  page.setDefaultTimeout(120000);
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(String(error)));
  return page;
}

async function pictures(page, name, path) {
  for (const [width, scheme, locale] of [[1280, "light", "en"], [390, "dark", "zh"], [390, "light", "en"], [1280, "dark", "zh"]]) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: scheme });
    await page.context().addCookies([{ name: "django_language", value: locale === "zh" ? "zh-hans" : "en", url }]);
    await page.goto(url + path);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    if (wide) faults.push(`${path} is wider than ${width} px`);
    await page.screenshot({ path: `${out}/${name}-${width}-${scheme}-${locale}.png`, fullPage: true });
  }
  await page.context().addCookies([{ name: "django_language", value: "en", url }]);
  await page.setViewportSize({ width: 1280, height: 900 });
}

const olga = await person();
await olga.goto(url + "/login");
await olga.fill("#name", "organiser");
await olga.fill("#password", password);
await olga.click("main button.main");
await olga.goto(url + "/organise/new");
await olga.fill("#slug", "class");
await olga.fill("#title", "My class");
await olga.setInputFiles("#csv", csv);
await olga.setInputFiles("#pictures", zip);
await olga.fill("#hidden", "0.5");
await olga.click("main button.main");
await olga.waitForURL("**/organise/class");

const ada = await person();
await ada.goto(url + "/register?next=/c/class");
await ada.fill("#name", "ada");
await ada.fill("#password", "a-long-enough-word");
await ada.click("main button.main");
await ada.waitForURL("**/c/class");
await ada.fill("#name", "Ada 王");
await ada.click("main button.main");
await ada.goto(url + "/c/class/submit");
await ada.setInputFiles("#file", submission);
await ada.click("main button.main");
await ada.waitForURL("**/s/*");
const number = ada.url().split("/").pop();
const states = new Set();
let log = "";
for (let turn = 0; turn < 600; turn++) {  // the page renews itself: nothing is reloaded here
  states.add(await ada.textContent("#state"));
  log = (await ada.locator("#log").count()) ? await ada.textContent("#log") : log;
  if (["scored", "failed", "platform fault"].some((word) => states.has(word))) break;
  await ada.waitForTimeout(200);
}
const score = (await ada.locator("#public").count()) ? await ada.textContent("#public") : null;
await pictures(ada, "submission", `/s/${number}`);
await pictures(ada, "board", "/c/class/board");
await pictures(ada, "contest", "/c/class");
await pictures(olga, "organise", "/organise/class");
const before = await (await ada.request.get(url + "/api/c/class/board")).json();

// The deadline, then the reveal.
await olga.goto(url + "/organise/class");
await olga.fill("#opens", "2020-01-01T00:00");
await olga.fill("#closes", "2020-01-02T00:00");
await olga.fill("#reveals", "2099-01-01T00:00");
await olga.click("main button.main");
await ada.goto(url + "/c/class/submit");
await ada.setInputFiles("#file", submission);
await ada.click("main button.main");
const late = await ada.textContent("[role=alert]");
const hidden = (await ada.goto(url + "/c/class/board")) && !(await ada.textContent("#rows")).includes("Private");
await olga.goto(url + "/organise/class");
await olga.click("text=Reveal private scores now");
await olga.waitForURL("**/board");
const revealed = await olga.textContent("#rows");
const [download] = await Promise.all([
  olga.waitForEvent("download"),
  olga.goto(url + "/organise/class").then(() => olga.click("text=Export as CSV")),
]);
await download.saveAs(`${out}/export.csv`);
const after = await (await ada.request.get(url + "/api/c/class/board")).json();
await browser.close();
console.log(JSON.stringify({ states: [...states], score, log, before, late, hidden, revealed, after, faults }));
