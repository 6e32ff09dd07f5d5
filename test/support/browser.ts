// Headless Chromium for tests of what a page does: spoken to over the pipe of its own debugging protocol.
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { pathToFileURL } from "node:url";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** SEPROG_CHROMIUM, or the first of the usual names on the PATH. Throws with what to install. */
export function findChromium(environment: NodeJS.ProcessEnv = process.env): string {
  const named = environment.SEPROG_CHROMIUM;
  const folders = (environment.PATH ?? "").split(delimiter);
  const candidates = named ? [named] : NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = candidates.find(isExecutable);
  if (found !== undefined) return found;
  throw new Error(
    `expected Chromium ${named ? `at SEPROG_CHROMIUM=${named}` : `as ${NAMES.join(", ")} on the PATH`} but found none. Install it: apt-get install -y chromium`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

type Json = Record<string, unknown>;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Json;
  readonly result?: Json;
  readonly error?: { readonly message: string };
  readonly sessionId?: string;
}

export interface PageOptions {
  readonly width: number;
  readonly height?: number;
  readonly scheme?: "light" | "dark";
}

/** One Chromium with a profile of its own, which is deleted on close. */
export class Browser {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #input: Writable;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #listeners = new Map<string, (message: Message) => void>();
  #received = "";
  #lastId = 0;

  private constructor(child: ChildProcess, profile: string) {
    this.#child = child;
    this.#profile = profile;
    this.#input = child.stdio[3] as Writable;
    (child.stdio[4] as Readable).setEncoding("utf8").on("data", (text: string) => this.#receive(text));
    child.on("exit", () => {
      for (const settle of this.#waiting.values()) settle({ error: { message: "Chromium has ended" } });
    });
  }

  static async start(): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), "seprog-chromium-"));
    const flags = [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-background-networking",
      "--no-first-run",
      "--hide-scrollbars",
      "--remote-debugging-pipe",
      `--user-data-dir=${profile}`,
      "about:blank",
    ];
    const child = spawn(findChromium(), flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    const browser = new Browser(child, profile);
    await browser.call("Browser.getVersion");
    return browser;
  }

  call(method: string, params: Json = {}, sessionId?: string): Promise<Json> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        if (error) reject(new Error(`${method}: ${error.message}`));
        else resolve(result ?? {});
      });
      this.#input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  async open(path: string, { width, height = 900, scheme = "light" }: PageOptions): Promise<Page> {
    const { targetId } = await this.call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, String(sessionId), String(targetId));
    this.#listeners.set(String(sessionId), (message) =>
      page.hear(message.method ?? "", message.params ?? {}),
    );
    await page.load(pathToFileURL(path).href, width, height, scheme);
    return page;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    await this.call("Browser.close").catch(() => undefined);
    await ended;
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  #receive(text: string): void {
    const parts = (this.#received + text).split("\0");
    this.#received = parts.pop() ?? "";
    for (const part of parts) {
      const message = JSON.parse(part) as Message;
      if (message.id === undefined) this.#listeners.get(message.sessionId ?? "")?.(message);
      else {
        this.#waiting.get(message.id)?.(message);
        this.#waiting.delete(message.id);
      }
    }
  }
}

/** A page and all that it said and asked for. */
export class Page {
  /** What stands on the console, uncaught errors too. */
  readonly said: string[] = [];
  /** Addresses that were asked for, the page's own among them. */
  readonly requested: string[] = [];
  readonly #browser: Browser;
  readonly #session: string;
  readonly #target: string;
  #loaded: () => void = () => undefined;

  constructor(browser: Browser, session: string, target: string) {
    this.#browser = browser;
    this.#session = session;
    this.#target = target;
  }

  hear(method: string, params: Json): void {
    if (method === "Page.loadEventFired") this.#loaded();
    if (method === "Network.requestWillBeSent") this.requested.push((params.request as { url: string }).url);
    if (
      method === "Runtime.exceptionThrown" ||
      method === "Runtime.consoleAPICalled" ||
      method === "Log.entryAdded"
    )
      this.said.push(JSON.stringify(params));
  }

  async load(url: string, width: number, height: number, scheme: string): Promise<void> {
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await this.#call(`${domain}.enable`);
    await this.#call("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: false,
    });
    await this.#call("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: scheme }],
    });
    const loaded = new Promise<void>((resolve) => {
      this.#loaded = resolve;
    });
    await this.#call("Page.navigate", { url });
    await loaded;
  }

  /** The value of an expression, by value. Throws what it throws. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const answer = await this.#call("Runtime.evaluate", {
      expression,
      returnByValue: true,
      awaitPromise: true,
    });
    if (answer.exceptionDetails) throw new Error(JSON.stringify(answer.exceptionDetails));
    return (answer.result as { value: Value }).value;
  }

  /** Presses and releases a key: `Tab`, `Enter`, `ArrowRight`. */
  async press(key: "Tab" | "Enter" | "ArrowRight"): Promise<void> {
    const code = { Tab: 9, Enter: 13, ArrowRight: 39 }[key];
    const event = { key, code: key, windowsVirtualKeyCode: code, ...(key === "Enter" && { text: "\r" }) };
    await this.#call("Input.dispatchKeyEvent", { type: "keyDown", ...event });
    await this.#call("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  /** A picture of the page from its top, PNG. */
  async screenshot(width: number, height: number): Promise<Buffer> {
    const clip = { x: 0, y: 0, width, height, scale: 1 };
    const { data } = await this.#call("Page.captureScreenshot", {
      format: "png",
      clip,
      captureBeyondViewport: true,
    });
    return Buffer.from(String(data), "base64");
  }

  async close(): Promise<void> {
    await this.#browser.call("Target.closeTarget", { targetId: this.#target });
  }

  #call(method: string, params: Json = {}): Promise<Json> {
    return this.#browser.call(method, params, this.#session);
  }
}
